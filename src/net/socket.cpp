#include "net/socket.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

namespace lovage::net {
namespace {

bool would_block(int error) noexcept {
  return error == EAGAIN || error == EWOULDBLOCK;
}

Failure lost(int error) {
  return Failure{Errc::unavailable, std::strerror(error)};
}

Failure closed() {
  return Failure{Errc::unavailable, "the server closed the connection"};
}

std::string tls_error() {
  const unsigned long code = ::ERR_get_error();
  ::ERR_clear_error();
  if (code == 0) return "unknown error";
  const char* const reason = ::ERR_reason_error_string(code);
  if (reason != nullptr) return reason;
  std::array<char, 256> text{};
  ::ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

// OpenSSL's own socket BIO writes without MSG_NOSIGNAL: a peer that went away would kill the process.
int bio_write(BIO* bio, const char* data, int size) {
  ::BIO_clear_retry_flags(bio);
  int fd = -1;
  ::BIO_get_fd(bio, &fd);
  const auto n = ::send(fd, data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (n < 0 && (would_block(errno) || errno == EINTR)) ::BIO_set_retry_write(bio);
  return static_cast<int>(n);
}

int bio_read(BIO* bio, char* data, int size) {
  ::BIO_clear_retry_flags(bio);
  int fd = -1;
  ::BIO_get_fd(bio, &fd);
  const auto n = ::recv(fd, data, static_cast<std::size_t>(size), 0);
  if (n < 0 && (would_block(errno) || errno == EINTR)) ::BIO_set_retry_read(bio);
  if (n == 0) ::BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(n);
}

// OpenSSL's socket BIO but for reading and writing.
const BIO_METHOD* bio_method() {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* const own =
        ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "socket");
    const BIO_METHOD* const socket = ::BIO_s_socket();
    ::BIO_meth_set_write(own, bio_write);
    ::BIO_meth_set_read(own, bio_read);
    ::BIO_meth_set_ctrl(own, ::BIO_meth_get_ctrl(socket));
    ::BIO_meth_set_create(own, ::BIO_meth_get_create(socket));
    ::BIO_meth_set_destroy(own, ::BIO_meth_get_destroy(socket));
    return own;
  }();
  return kMethod;
}

struct FreeContext {
  void operator()(SSL_CTX* context) const noexcept { ::SSL_CTX_free(context); }
};
using Context = std::unique_ptr<SSL_CTX, FreeContext>;

Result<void> load_files(SSL_CTX* context, const TlsOptions& options) {
  const auto unreadable = [](const std::string& what, const std::string& file) {
    return fail(Errc::misconfigured, "cannot use the " + what + " '" + file + "': " + tls_error());
  };
  if (!options.ca_file.empty()) {
    if (::SSL_CTX_load_verify_locations(context, options.ca_file.c_str(), nullptr) != 1) {
      return unreadable("CA file", options.ca_file);
    }
  } else if (options.verify) {
    ::SSL_CTX_set_default_verify_paths(context);
  }
  if (!options.cert_file.empty() && ::SSL_CTX_use_certificate_chain_file(context, options.cert_file.c_str()) != 1) {
    return unreadable("certificate", options.cert_file);
  }
  const std::string& key = options.key_file.empty() ? options.cert_file : options.key_file;
  if (!key.empty() && ::SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return unreadable("private key", key);
  }
  return {};
}

void expect_host(SSL* tls, const std::string& host) {
  auto* const parameters = ::SSL_get0_param(tls);
  if (::X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) == 1) return;
  ::ERR_clear_error();
  ::X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), 0);
}

}  // namespace

void Socket::FreeTls::operator()(ssl_st* tls) const noexcept {
  ::SSL_free(tls);
}

Socket::Socket(Fd fd) noexcept : fd_(std::move(fd)) {}
Socket::Socket(Socket&&) noexcept = default;
Socket& Socket::operator=(Socket&&) noexcept = default;
Socket::~Socket() = default;

Result<void> Socket::start_tls(const TlsOptions& options, const std::string& host) {
  const Context context(::SSL_CTX_new(::TLS_client_method()));
  if (!context) return fail(Errc::unavailable, "TLS: " + tls_error());
  ::SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  ::SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  ::SSL_CTX_set_verify(context.get(), options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (auto loaded = load_files(context.get(), options); !loaded) return loaded;
  tls_.reset(::SSL_new(context.get()));
  BIO* const bio = tls_ ? ::BIO_new(bio_method()) : nullptr;
  if (bio == nullptr) return fail(Errc::unavailable, "TLS: " + tls_error());
  ::BIO_set_fd(bio, fd_.get(), BIO_NOCLOSE);
  ::SSL_set_bio(tls_.get(), bio, bio);
  if (!host.empty()) ::SSL_set_tlsext_host_name(tls_.get(), host.c_str());
  if (options.verify && options.check_hostname && !host.empty()) expect_host(tls_.get(), host);
  ::SSL_set_connect_state(tls_.get());
  return {};
}

Result<Want> Socket::tls_want(int result, std::string_view what) {
  const int error = ::SSL_get_error(tls_.get(), result);
  if (error == SSL_ERROR_WANT_READ) return Want::readable;
  if (error == SSL_ERROR_WANT_WRITE) return Want::writable;
  tls_broken_ = true;
  if (error == SSL_ERROR_ZERO_RETURN) return tl::unexpected(closed());
  if (error == SSL_ERROR_SYSCALL) return tl::unexpected(errno != 0 ? lost(errno) : closed());
  const long verified = ::SSL_get_verify_result(tls_.get());
  if (verified != X509_V_OK && ::SSL_get_verify_mode(tls_.get()) != SSL_VERIFY_NONE) {
    ::ERR_clear_error();
    return fail(Errc::refused,
                "the server's certificate is not trusted: " + std::string(::X509_verify_cert_error_string(verified)));
  }
  return fail(Errc::unavailable, std::string(what) + ": " + tls_error());
}

Result<Want> Socket::handshake() {
  ::ERR_clear_error();
  errno = 0;
  const int result = ::SSL_do_handshake(tls_.get());
  if (result == 1) return Want::nothing;
  return tls_want(result, "TLS handshake failed");
}

Result<Transfer> Socket::read_some(std::span<char> into) {
  if (tls_) {
    if (tls_broken_) return tl::unexpected(closed());
    ::ERR_clear_error();
    errno = 0;
    const int n = ::SSL_read(tls_.get(), into.data(), static_cast<int>(std::min<std::size_t>(into.size(), INT_MAX)));
    if (n > 0) return Transfer{static_cast<std::size_t>(n), Want::nothing};
    const auto want = tls_want(n, "TLS");
    if (!want) return tl::unexpected(want.error());
    return Transfer{0, *want};
  }
  while (true) {
    const auto n = ::recv(fd_.get(), into.data(), into.size(), 0);
    if (n > 0) return Transfer{static_cast<std::size_t>(n), Want::nothing};
    if (n == 0) return tl::unexpected(closed());
    if (would_block(errno)) return Transfer{0, Want::readable};
    if (errno != EINTR) return tl::unexpected(lost(errno));
  }
}

Result<Transfer> Socket::write_some(std::string_view bytes, More more) {
  if (bytes.empty()) return Transfer{};
  if (tls_) {
    if (tls_broken_) return tl::unexpected(closed());
    ::ERR_clear_error();
    errno = 0;
    const int n = ::SSL_write(tls_.get(), bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), INT_MAX)));
    if (n > 0) return Transfer{static_cast<std::size_t>(n), Want::nothing};
    const auto want = tls_want(n, "TLS");
    if (!want) return tl::unexpected(want.error());
    return Transfer{0, *want};
  }
  const int flags = MSG_NOSIGNAL | (more == More::yes ? MSG_MORE : 0);
  while (true) {
    const auto n = ::send(fd_.get(), bytes.data(), bytes.size(), flags);
    if (n >= 0) return Transfer{static_cast<std::size_t>(n), Want::nothing};
    if (would_block(errno)) return Transfer{0, Want::writable};
    if (errno != EINTR) return tl::unexpected(lost(errno));
  }
}

bool Socket::has_buffered() const noexcept {
  return tls_ && ::SSL_has_pending(tls_.get()) == 1;
}

}  // namespace lovage::net
