// The reference server of y-websocket, in memory, on a free port.
import http from 'node:http'
import { WebSocketServer } from 'ws'
import { setupWSConnection } from '@y/websocket-server/utils'

const server = http.createServer((_, res) => res.end('okay'))
const wss = new WebSocketServer({ noServer: true })
server.on('upgrade', (req, socket, head) => wss.handleUpgrade(req, socket, head, ws => setupWSConnection(ws, req)))
server.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`))
