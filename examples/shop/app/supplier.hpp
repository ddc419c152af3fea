// A service of somebody else, which is overloaded now and then.
#pragma once

#include <stdexcept>
#include <string>

namespace shop {

// The supplier answered 503, or not at all: trying again later helps.
class SupplierBusy : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Asks the supplier for a product's price: GET <SHOP_SUPPLIER>/<product>, by default of the shop's own web service on
// port 8000. Throws SupplierBusy, std::invalid_argument for what is no product's name, and std::runtime_error for
// what trying again would not mend.
double fetch_price(const std::string& product);

}  // namespace shop
