/** A fixed number of connections, opened when first needed and lent one at a time. */
export function openPool(open, size) {
  const free = [];
  let opened = 0;
  return {
    take() {
      if (free.length > 0) return free.pop();
      if (opened === size) throw new Error(`all ${size} database connections are in use`);
      opened += 1;
      return open();
    },
    giveBack(connection) {
      free.push(connection);
    },
    close() {
      for (const connection of free.splice(0)) connection.close();
    },
  };
}
