// Listens to a stream of events by the library or the runtime's own EventSource, and prints what it is told, one JSON a line.
//
// node [--experimental-eventsource] listen.mjs URL
//
// A line is {"open": true} for each connection, {"message": ..., "lastEventId": "..."} for each event without a name, and {"NAME": ...} for the
// stream's own. What is no JSON ends the process with an error.

import { EventSource as Library } from "eventsource";

const EventSource = globalThis.EventSource ?? Library;
const tell = (line) => process.stdout.write(JSON.stringify(line) + "\n");

const source = new EventSource(process.argv[2]);
source.onopen = () => tell({ open: true });
source.onmessage = ({ data, lastEventId }) => tell({ message: JSON.parse(data), lastEventId });
for (const name of ["position", "end"]) {
  source.addEventListener(name, ({ data }) => tell({ [name]: JSON.parse(data) }));
}

// The runtime's own waits for its next connection without keeping the process alive.
setInterval(() => {}, 60_000);
