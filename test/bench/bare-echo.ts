// The other side of two bare hops: sends a mail of the reply's size back for every mail that comes. Options:
// EchoOptions as JSON in the first argument; ends with its input.

import { type BareAccount, bareImap, bareMail, barePool, watchInbox } from './bare-mail.ts'
import { tellParent } from './child.ts'

export type EchoOptions = { readonly account: BareAccount; readonly to: string; readonly replyBytes: number }

const { account, to, replyBytes } = JSON.parse(process.argv[2] ?? '') as EchoOptions
const pool = barePool(account)
const client = bareImap(account)
await pool.verify()
await watchInbox(client, async () => {
  await pool.sendMail(bareMail(account.address, to, 'echo', replyBytes))
})
tellParent({ event: 'ready' })
process.stdin.resume().on('end', () => {
  pool.close()
  client.close()
})
