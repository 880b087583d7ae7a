import { videoOf } from "./causes.ts";
import type { Conclusion, Reason } from "./conclusion.ts";
import type { TrackFigures } from "./figures.ts";
import type { JudgeInput } from "./look.ts";
import type { PictureView } from "./picture.ts";

/** Whether what showed a fault is measured at all now: what is not measured proves no recovery. Pure. */

/** A session that has not measured it in so long never will. */
const SESSION_MS = 60_000;
/** Longer than any pause between two samples: what was not measured in so long is not known any more. */
const KNOWN_MS = 7_200_000;
/** Keyframes that prove a picture frozen by their sizes. */
const PROOF_KEYS = 4;

/** `before`: what was concluded last, of a stream that is proven to live now. */
export function isUnmeasured({ at, figures, picture }: JudgeInput, before: Conclusion): boolean {
  const { reason, memory } = before;
  if (reason === undefined || at - (memory?.seenAt ?? at) >= KNOWN_MS) return false;
  if (isOfPicture(reason) && picture?.state === "unknown") return true;
  const video = figures === undefined ? undefined : videoOf(figures);
  if (video === undefined || (figures?.playingMs ?? SESSION_MS) >= SESSION_MS) return false;
  return !isMeasured(reason, video, picture);
}

const isOfPicture = (reason: Reason): boolean => reason === "black" || reason === "frozen" || reason === "suspect";

function isMeasured(reason: Reason, video: TrackFigures, picture: PictureView | undefined): boolean {
  switch (reason) {
    case "frozen":
      return picture?.state !== "still" || video.keySizes.length >= PROOF_KEYS;
    case "bitrate":
      return video.kbps !== undefined && video.gopMs !== undefined;
    case "fps":
      return video.fps !== undefined;
    case "loss":
      return video.packets === undefined || video.lossPct !== undefined;
    case "clock":
      return video.clockSkewMs !== undefined;
    default:
      return true;
  }
}
