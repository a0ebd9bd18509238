// One worker for all tabs of one person in one language (the end of its name): browsers open only six HTTP/1.1 connections per server, and ten tabs must not use them up.
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
