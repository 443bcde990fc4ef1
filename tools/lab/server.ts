// The server program of a node: HTTP that says which node answers, and echo on TCP and UDP port 7.
//
//   node server.js NAME ADDRESS...
//
// TCP listens on every address. UDP is bound to each address by itself, since a socket bound to all of them answers from the
// machine's own address and not from the one that was asked.
import { createSocket } from 'node:dgram';
import { createServer as createHttpServer } from 'node:http';
import { createServer, isIPv6 } from 'node:net';

const [name = 'server', ...addresses] = process.argv.slice(2);
const echoPort = 7;
let requests = 0;

const http = createHttpServer((request, response) => {
  requests += 1;
  response.setHeader('connection', 'close');
  response.setHeader('content-type', 'application/json');
  const client = request.socket.remoteAddress?.replace(/^::ffff:/, '');
  response.end(`${JSON.stringify({ server: name, client, requests })}\n`);
});
http.listen(80, '::', 1024);

createServer((socket) => {
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
}).listen(echoPort, '::', 1024);

for (const address of addresses) {
  const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 });
  socket.on('message', (data, { address: from, port }) => {
    socket.send(`${name} ${data.toString()}`, port, from);
  });
  // A client that went away answers with an ICMP error, which is not ours to die of.
  socket.on('error', (error) => console.error(error.message));
  socket.bind(echoPort, address);
}
