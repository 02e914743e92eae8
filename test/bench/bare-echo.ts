// The other side of the bare baseline: answers every mail with one of the reply's size. Options: EchoOptions as
// JSON in the first argument. Ends with its input.

import { type BareAccount, bareImap, bareMail, barePool, watchInbox } from './bare-mail.ts'
import { emitToParent } from './child.ts'

export type EchoOptions = { readonly account: BareAccount; readonly to: string; readonly replyBytes: number }

const { account, to, replyBytes } = JSON.parse(process.argv[2] ?? '') as EchoOptions
const pool = barePool(account)
const client = bareImap(account)
await pool.verify()
await watchInbox(client, async () => {
  await pool.sendMail(bareMail(account.address, to, 'echo', replyBytes))
})
emitToParent({ event: 'ready' })
process.stdin.resume().on('end', () => {
  pool.close()
  client.close()
})
