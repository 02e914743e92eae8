// Certificates for localhost, and a TLS proxy for a mail server that has no TLS.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createServer } from 'node:tls'

export type Certificate = { readonly certificateFile: string; readonly cert: string; readonly key: string }

const config = `[ca]
default_ca = own
[own]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
[any]
commonName = supplied
[names]
subjectAltName = DNS:localhost, IP:127.0.0.1
`

/** A self-signed certificate for `localhost`. Dates have OpenSSL's form, such as 20200101000000Z. */
export function makeCertificate(folder: string, from: string, until: string): Certificate {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'config'), config)
  writeFileSync(join(folder, 'index'), '')
  writeFileSync(join(folder, 'serial'), '01\n')
  const openssl = (args: string) => {
    const run = spawnSync('openssl', args.split(' '), { cwd: folder, encoding: 'utf8' })
    if (run.status !== 0) throw new Error(run.stderr)
  }
  openssl(
    'req -config /dev/null -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key -out wish -subj /CN=localhost',
  )
  openssl(
    `ca -config config -batch -selfsign -keyfile key -in wish -out certificate -startdate ${from} -enddate ${until} -extensions names -notext`,
  )
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  return { certificateFile: join(folder, 'certificate'), cert: read('certificate'), key: read('key') }
}

/**
 * Forwards TLS connections in clear text to `port`. Resolves with the proxy's port and a function that closes
 * it.
 */
export async function startTlsProxy(
  port: number,
  { cert, key }: Pick<Certificate, 'cert' | 'key'>,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const open = new Set<Socket>()
  const server = createServer({ cert, key }, (outer) => {
    const inner = connect(port, '127.0.0.1')
    for (const [from, to] of [
      [outer, inner],
      [inner, outer],
    ] as const) {
      open.add(from)
      from.on('error', () => undefined)
      from.on('close', () => {
        open.delete(from)
        to.destroy()
      })
      from.pipe(to)
    }
  })
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    close: async () => {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
