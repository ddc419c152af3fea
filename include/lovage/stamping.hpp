// Stamps that depend on what is stamped. Celery: StampingVisitor.
//
//   struct ByName : lovage::StampingVisitor {
//     lovage::Object on_signature(const lovage::Signature& one, const lovage::Object&) override {
//       return {{"step", one.task()}};
//     }
//   };
//   auto sum = add.s(1, 2);
//   ByName by_name;
//   sum.stamp(by_name);
#pragma once

#include <lovage/signature.hpp>
#include <lovage/value.hpp>

namespace lovage {

// Goes through a workflow as Signature::stamp(visitor) calls it, in the caller's thread. What each function returns are
// stamps for what it was called with and all in it; `stamps` are those that it is given from above. Of one name the
// innermost counts, and what was there before before all; with append_stamps they become a list, the outermost first.
// What is thrown here ends stamp(), which leaves the signature as it was.
class StampingVisitor {
 public:
  StampingVisitor() = default;
  StampingVisitor(const StampingVisitor&) = default;
  StampingVisitor& operator=(const StampingVisitor&) = default;
  virtual ~StampingVisitor() = default;

  // Each single task, wherever it stands.
  virtual Object on_signature(const Signature& signature, const Object& stamps) = 0;
  virtual Object on_group_start(const Signature& /*group*/, const Object& /*stamps*/) { return {}; }
  virtual void on_group_end(const Signature& /*group*/, const Object& /*stamps*/) {}
  virtual Object on_chain_start(const Signature& /*chain*/, const Object& /*stamps*/) { return {}; }
  virtual void on_chain_end(const Signature& /*chain*/, const Object& /*stamps*/) {}
  // Of a chord: as a group's, unless they are overridden.
  virtual Object on_chord_header_start(const Signature& chord, const Object& stamps);
  virtual void on_chord_header_end(const Signature& chord, const Object& stamps);
  // Stamps of the body beside the chord's own.
  virtual Object on_chord_body(const Signature& /*chord*/, const Object& /*stamps*/) { return {}; }
  // What hangs at a signature; it is stamped by itself, too, as what it is.
  virtual Object on_callback(const Signature& /*callback*/, const Object& /*stamps*/) { return {}; }
  virtual Object on_errback(const Signature& /*errback*/, const Object& /*stamps*/) { return {}; }
};

}  // namespace lovage
