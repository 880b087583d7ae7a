import { THUMBNAIL, type Thumbnail } from "../picture.ts";

/** A thumbnail as a picture file (PGM, Netpbm "P5"), for the device's own disk: it is never sent. */
export function pgm({ grey }: Thumbnail): Uint8Array {
  return Buffer.concat([Buffer.from(`P5\n${THUMBNAIL.width} ${THUMBNAIL.height}\n255\n`), grey]);
}
