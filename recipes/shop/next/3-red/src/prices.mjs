/** What one piece of an item costs, in cents. */
const PRICES = new Map([
  ["coffee", 290],
  ["tea", 240],
  ["cake", 420],
]);

/** What one piece of anything else costs, in cents. */
const STANDARD_PRICE = 500;

/** The price of one piece, in cents. */
export function priceOf(item) {
  return PRICES.get(item.toLowerCase()) ?? STANDARD_PRICE;
}

/** From this many pieces on an order is a tenth cheaper. */
const BULK = 10;

/** The price of a whole order, in cents, with the discount for many pieces. */
export function totalOf({ item, quantity }) {
  const full = priceOf(item) * quantity;
  return quantity > BULK ? Math.round(full * 0.9) : full;
}
