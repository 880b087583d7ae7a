/** Reads the payloads of one track, in order: one of them for each payload format. */
export interface PayloadReader {
  /**
   * `bytes` from `from` up to `to`, which may be empty; `stamp`: ticks, unwrapped; `lost`: packets before it never came;
   * `at`: monotonic ms; `headerAt`: where the packet's RTP header begins in `bytes`.
   */
  read(
    bytes: Buffer,
    from: number,
    to: number,
    stamp: number,
    marker: boolean,
    lost: boolean,
    at: number,
    headerAt: number,
  ): void;
  /** No more comes: what is half a frame is told as far as it came. */
  flush(at: number): void;
}

/** 16 bits, big endian; 0 beyond the end. */
export const word = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
