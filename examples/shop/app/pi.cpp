#include "pi.hpp"

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace shop {

std::string digits_of_pi(std::int64_t decimals, const std::function<void(std::int64_t)>& progress) {
  if (decimals < 1 || decimals > 100'000) throw std::invalid_argument("digits must be from 1 to 100000");
  constexpr std::int64_t kGuard = 10;  // the last digits may still be carried into
  const std::int64_t wanted = decimals + 1;
  const std::int64_t total = wanted + kGuard;
  const std::int64_t report_every = wanted / 20 + 1;
  std::vector<std::int64_t> terms(static_cast<std::size_t>(total * 10 / 3 + 2), 2);
  std::string digits;  // every predigit but `held` and the nines behind it
  std::int64_t nines = 0;
  std::int64_t held = -1;
  for (std::int64_t step = 0; step < total && static_cast<std::int64_t>(digits.size()) < wanted; ++step) {
    std::int64_t carry = 0;
    for (std::size_t i = terms.size(); i-- > 1;) {
      const std::int64_t value = terms[i] * 10 + carry;
      const auto odd = static_cast<std::int64_t>(2 * i + 1);
      terms[i] = value % odd;
      carry = value / odd * static_cast<std::int64_t>(i);
    }
    const std::int64_t first = terms[0] * 10 + carry;
    terms[0] = first % 10;
    std::int64_t digit = first / 10;
    if (digit == 9) {
      ++nines;
      continue;
    }
    const bool carried = digit == 10;
    if (held >= 0) digits.push_back(static_cast<char>('0' + held + (carried ? 1 : 0)));
    digits.append(static_cast<std::size_t>(nines), carried ? '0' : '9');
    nines = 0;
    held = carried ? 0 : digit;
    if (step % report_every == 0) progress(std::min(step, decimals));
  }
  if (held >= 0) digits.push_back(static_cast<char>('0' + held));
  digits.append(static_cast<std::size_t>(nines), '9');
  return digits.substr(0, 1) + '.' + digits.substr(1, static_cast<std::size_t>(decimals));
}

}  // namespace shop
