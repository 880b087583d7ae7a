import type { Keyframe } from "./media.ts";

/** A keyframe made small: 160 × 90 cells of grey, 0 black to 255 white, row by row. */
export interface Thumbnail {
  /** Monotonic ms at which its keyframe was whole. */
  at: number;
  /** Bytes of the keyframe it was made of. */
  keySize: number;
  grey: Uint8Array;
}
export const THUMBNAIL = { width: 160, height: 90 } as const;

/**
 * Makes thumbnails, one at a time in the whole agent. Rejects with Failure PICTURE_DECODER (none installed: the picture stays
 * unknown) or PICTURE_BROKEN (the decoder could not read this keyframe).
 */
export type MakeThumbnail = (keyframe: Keyframe, at: number, signal: AbortSignal) => Promise<Thumbnail>;

/** Where the burnt-in clock stands in the picture, in parts of its width and height, 0 to 1. */
export interface OsdBox {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** What the picture itself shows. `frozen` only where it is proven or the OSD clock stands; `unknown` is never ok. */
export interface PictureView {
  state: "live" | "still" | "suspect" | "frozen" | "black" | "unknown";
  /** How it is known: F1 keyframes of one size, F2 the OSD clock, F3 unmoved longer than ever, dark. */
  by?: "sizes" | "osd" | "motion" | "dark";
  /** Since when, monotonic ms. */
  sinceAt?: number;
  /** Hardly anything moved up to the last look: that costs few bits. */
  resting?: true;
  /** The last look was dark: `black` may come of it. */
  darkening?: true;
  /** One English sentence with the numbers. */
  says: string;
  readings: Readonly<Record<string, number>>;
}
