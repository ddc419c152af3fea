#include "celery_app.hpp"

#include <lovage/main.hpp>

#include "tasks.hpp"

namespace shop {

lovage::App& celery_app() {
  // Broker and backend come from the environment (CELERY_BROKER_URL, CELERY_RESULT_BACKEND), the command line
  // (-b, --result-backend), or are ./lovage.db.
  static lovage::App app("shop");
  return app;
}

}  // namespace shop

// What `lovage -A ./libshop.so` looks for.
extern "C" lovage::App* lovage_app() {
  shop::tasks();  // declared before a worker asks which tasks there are
  return &shop::celery_app();
}
