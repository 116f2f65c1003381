/**
 * Gives the memory of a buffer back at once. Left to the collector, which hardly sees buffers, gigabytes that pass
 * through in pieces cost a third of the time, and memory. Nobody may hold another view of it any more.
 */
export function giveBack({ buffer }: Buffer): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}

/** Whether nothing follows it in its piece of memory: zlib cuts several chunks from one. */
export function endsItsMemory({ buffer, byteOffset, length }: Buffer): boolean {
  return byteOffset + length === buffer.byteLength;
}
