// Hocuspocus with its SQLite extension, as its documentation starts it, on a free
// port. A document is stored when it has been quiet for two seconds, after ten at
// the latest.
//
// usage: node hocuspocus.mjs FOLDER
import { join } from 'node:path'
import { SQLite } from '@hocuspocus/extension-sqlite'
import { Server } from '@hocuspocus/server'

const server = new Server({
  port: 0,
  address: '127.0.0.1',
  quiet: true,
  extensions: [new SQLite({ database: join(process.argv[2], 'hocuspocus.db') })]
})
await server.listen()
console.log(`listening on http://127.0.0.1:${server.address.port}`)
