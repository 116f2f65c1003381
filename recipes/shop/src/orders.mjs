import * as z from "zod";

const orderSchema = z.strictObject({
  item: z.string().trim().min(1).max(64),
  quantity: z.int().min(1).max(1_000),
});

/** A new order from a request body. Throws z.ZodError naming every wrong field. */
export function parseOrder(body) {
  return orderSchema.parse(body);
}

/** The orders of an open database. `add` returns only after the order is on disk. */
export function openOrders(database) {
  const insert = database.prepare("INSERT INTO orders (item, quantity, created) VALUES (?, ?, ?)");
  const one = database.prepare("SELECT * FROM orders WHERE id = ?");
  const page = database.prepare("SELECT * FROM orders WHERE id > ? ORDER BY id LIMIT ?");
  const count = database.prepare("SELECT count(*) AS count FROM orders");
  return {
    add({ item, quantity }) {
      return one.get(insert.run(item, quantity, new Date().toISOString()).lastInsertRowid);
    },
    find: (id) => one.get(id),
    list({ after, limit }) {
      const orders = page.all(after, limit);
      return { count: count.get().count, orders, next: orders.length === limit ? orders.at(-1).id : null };
    },
  };
}
