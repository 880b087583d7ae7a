/** One server-sent event as the WHATWG standard reads it: https://html.spec.whatwg.org/multipage/server-sent-events.html */
export interface ServerSentEvent {
  event: string;
  id: string | undefined;
  data: string;
}

/** A stream that never ends a line must not fill our memory. */
const MAX_CHARS = 1_048_576;

/**
 * Reads events from chunks cut anywhere, comments (signs of life) left out; `alive` is called with every chunk.
 * Throws RangeError when one event grows beyond a mebi of characters.
 */
export async function* readEvents(
  chunks: AsyncIterable<Uint8Array>,
  alive: () => void = () => {},
): AsyncGenerator<ServerSentEvent> {
  const utf8 = new TextDecoder();
  let rest = "";
  let event = newEvent();
  for await (const chunk of chunks) {
    alive();
    rest += utf8.decode(chunk, { stream: true });
    // A lone CR at the end may be half of CR LF: it waits for the next chunk.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (event.data.length > 0) yield { event: event.name || "message", id: event.id, data: event.data.join("\n") };
        event = newEvent();
      } else takeLine(event, line);
    }
    const size = rest.length + event.data.reduce((sum, line) => sum + line.length, 0);
    if (size > MAX_CHARS) throw new RangeError("an event of the stream is too large");
  }
}

interface Growing {
  name: string;
  id: string | undefined;
  data: string[];
}
const newEvent = (): Growing => ({ name: "", id: undefined, data: [] });

function takeLine(event: Growing, line: string): void {
  const colon = line.indexOf(":");
  const field = colon === -1 ? line : line.slice(0, colon);
  const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
  if (field === "event") event.name = value;
  else if (field === "id" && !value.includes("\0")) event.id = value;
  else if (field === "data") event.data.push(value);
}
