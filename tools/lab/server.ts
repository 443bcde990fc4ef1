// The server program of a node: HTTP that says which node answers, downloads that last, and echo on TCP and UDP port 7.
//
//   node server.js NAME ADDRESS...
//
//   GET /                                      who answers
//   GET /download?bytes=N&rate=N&seed=N        N bytes of the pattern, `rate` a second
//   GET /finish                                asked behind a download on its connection: the rest comes at once, then this answer
//
// Each response names the node in its header `server`. A connection stays open for as long as its client wants.
//
// TCP listens on every address. UDP is bound to each address by itself, since a socket bound to all of them answers from the
// machine's own address and not from the one that was asked.
import { createSocket } from 'node:dgram';
import { createServer as createHttpServer } from 'node:http';
import { createServer, isIPv6 } from 'node:net';
import { Downloads } from './downloads.js';

const [name = 'server', ...addresses] = process.argv.slice(2);
const echoPort = 7;
let requests = 0;
const downloads = new Downloads();

const http = createHttpServer((request, response) => {
  requests += 1;
  response.setHeader('server', name);
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://cluster');
  if (pathname === '/download') {
    downloads.start(request, response, searchParams);
    return;
  }
  if (pathname === '/finish') downloads.hurry(request.socket);
  const client = request.socket.remoteAddress?.replace(/^::ffff:/, '');
  const text = `${JSON.stringify({ server: name, client, requests })}\n`;
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
});
// Idle connections are the client's to end.
http.keepAliveTimeout = 0;
http.headersTimeout = 0;
http.requestTimeout = 0;
http.listen(80, '::', 1024);

createServer((socket) => {
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
}).listen(echoPort, '::', 1024);

for (const address of addresses) {
  const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 });
  socket.on('message', (data, { address: from, port }) => {
    socket.send([`${name} `, data], port, from);
  });
  // A client that went away answers with an ICMP error, which is not ours to die of.
  socket.on('error', (error) => console.error(error.message));
  socket.bind(echoPort, address);
}
