// `peerpost host card` and `peerpost host peer`: prints and adds the cards by which hosts know each other.

import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { equalBytes } from '../base/bytes.ts'
import { messageOf, Problem } from '../base/problem.ts'
import { loadHostConfig } from '../config/load-config.ts'
import { writeHostCard } from '../letter/host-card.ts'
import { userIdText } from '../letter/user-id.ts'
import { loadSodium } from '../runtime/sodium.ts'
import { readHostKeys, roomNamed } from '../setup/host-keys.ts'
import { hostCardFrom, knownHosts } from '../setup/known-hosts.ts'
import { table } from './output.ts'

type Options = { readonly config: string; readonly json?: boolean }

/** A card with a room is a secret. A card without one holds only an address and two public keys. */
export async function printCard({
  config,
  room: roomName,
}: Options & { readonly room?: string }): Promise<void> {
  const { crypto, loaded, keys } = await readHost(config)
  const { address, stun, mail } = loaded.config
  const { identity, sealingKeys } = keys
  const room = roomName === undefined ? null : roomNamed(keys, roomName)
  const card = writeHostCard(crypto, {
    host: { address, identity: identity.publicKey, sealingKey: sealingKeys.publicKey },
    room: room && { name: room.name, secret: room.secret, stunServers: stun.servers, subject: mail.subject },
    ...(room && keys.represented && { front: keys.represented }),
  })
  process.stdout.write(`${card}\n`)
}

/** Adds the host to the config and prints its address. A host that is known already is not changed. */
export async function addPeer(text: string, { config }: Options): Promise<void> {
  const { crypto, loaded, keys } = await readHost(config)
  const { host } = hostCardFrom(crypto, text, 'This')
  const known = knownHosts(crypto, loaded.config, keys.identity.publicKey)
  if (equalBytes(host.identity, keys.identity.publicKey)) {
    throw new Problem('usage', 'This is the card of this host itself.', 'Give it the card of the other host.')
  }
  if (known.some(({ identity }) => equalBytes(identity, host.identity))) {
    process.stdout.write(`The host ${host.address} is known already.\n`)
    return
  }
  appendToConfig(
    config,
    `\n# ${host.address}\n[[hosts]]\ncard = "${writeHostCard(crypto, { host, room: null })}"\n`,
  )
  const { role } = loaded.config
  process.stdout.write(`The host ${host.address} is known after the next start.\n`)
  if (role === 'representative') {
    process.stdout.write('It then gets its share of the letters.\n')
    return
  }
  process.stdout.write(`Give it the card of this host, too:
  peerpost host card --config ${config}
`)
  if (keys.represented) return
  process.stdout.write('New invites name both. Earlier invites name only the hosts that were known then.\n')
}

export async function listPeers({ config, json }: Options): Promise<void> {
  const { crypto, loaded, keys } = await readHost(config)
  const hosts = knownHosts(crypto, loaded.config, keys.identity.publicKey)
  const rows = hosts.map(({ address, identity }) => ({ address, id: userIdText(identity) }))
  if (json) {
    for (const row of rows) process.stdout.write(`${JSON.stringify({ event: 'host', ...row })}\n`)
  } else if (rows.length === 0) process.stdout.write('No other host is known.\n')
  else {
    const lines = rows.map(({ address, id }) => ({ tone: 'plain' as const, cells: [address, id] }))
    process.stdout.write(`${table(['address', 'ID'], lines)}\n`)
  }
}

async function readHost(config: string) {
  const crypto = await loadSodium()
  const loaded = loadHostConfig(config, process.env)
  return { crypto, loaded, keys: readHostKeys(crypto, loaded) }
}

/** Writes a new file and renames it, so that the config of a person is never cut off. */
function appendToConfig(file: string, text: string): void {
  try {
    const before = readFileSync(file, 'utf8')
    writeFileSync(`${file}.new`, `${before.endsWith('\n') ? before : `${before}\n`}${text}`, { mode: 0o600 })
    renameSync(`${file}.new`, file)
  } catch (thrown) {
    throw new Problem('file', `${file} cannot be written: ${messageOf(thrown)}.`, 'Check its permissions.')
  }
}
