// Shared by all tabs of one person in one language (which its name ends with): HTTP/1.1 allows six connections a server, and ten tabs must not take them all.
import { Switchboard } from "./switchboard.js";

const pages = new Set();
const board = new Switchboard((message) => { for (const page of pages) page.postMessage(message); }, self.name.split("-").at(-1));

onconnect = (event) => {
  const page = event.ports[0];
  page.onmessage = ({ data }) => {
    if (data.kind === "join") {
      pages.add(page);
      for (const message of board.join(data.heard)) page.postMessage(message);
    } else if (data.kind === "wake") board.wake(data.why);
    else if (data.kind === "leave") pages.delete(page);
  };
  page.start();
};
