// A page whose bytes are still coming: it says which piece of the file it wants next, and gets it whole, wherever the
// stream's pieces begin and end.

export abstract class OpenPage {
  /** Position in the file of what is wanted next. */
  protected wantedAt: number;
  protected wantedBytes: number;
  #held: Buffer | undefined;
  #heldBytes = 0;

  constructor(at: number, bytes: number) {
    this.wantedAt = at;
    this.wantedBytes = bytes;
  }

  /**
   * Takes what is there of the piece that is wanted; what lies between is passed over.
   * @param chunk the file's bytes from `start` on; not kept
   * @returns whether the page has all that it wants
   */
  advance(chunk: Buffer, start: number): boolean {
    const end = start + chunk.length;
    for (;;) {
      const from = this.wantedAt + this.#heldBytes;
      const to = this.wantedAt + this.wantedBytes;
      if (from >= end) return false;
      if (this.#held === undefined && to <= end) {
        if (this.take(chunk, this.wantedAt - start)) return true;
        continue;
      }
      this.#held ??= Buffer.allocUnsafe(this.wantedBytes);
      this.#heldBytes += chunk.copy(this.#held, this.#heldBytes, from - start, Math.min(to, end) - start);
      if (this.#heldBytes < this.wantedBytes) return false;
      const held = this.#held;
      this.#held = undefined;
      this.#heldBytes = 0;
      if (this.take(held, 0)) return true;
    }
  }

  /**
   * What was wanted begins in `bytes` at `at`. Sets what is wanted next, never before that.
   * @returns whether that was all
   */
  protected abstract take(bytes: Buffer, at: number): boolean;

  /** For the next want to be a longer piece from the same position on, what was taken has to be kept. */
  protected wantLonger(bytes: Buffer, at: number, wanted: number): void {
    const longer = Buffer.allocUnsafe(wanted);
    this.#heldBytes = bytes.copy(longer, 0, at, at + this.wantedBytes);
    this.#held = longer;
    this.wantedBytes = wanted;
  }
}
