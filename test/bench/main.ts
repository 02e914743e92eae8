// `npm run bench`: measures the product against bare loops over the same libraries and servers. Arguments name
// single benches. One JSON line each on stdout, a table on stderr; exit code 1 when a target is missed.

import { Quiet } from './quiet.ts'
import { type Report, show, tell } from './report.ts'

const benches: Readonly<Record<string, (quiet: Quiet) => Promise<Report>>> = {
  reply: async (quiet) => (await import('./reply.ts')).benchReply(quiet),
  backlog: async (quiet) => (await import('./backlog.ts')).benchBacklog(quiet),
  table: async (quiet) => (await import('./table.ts')).benchTable(quiet),
}

const named = process.argv.slice(2)
const unknown = named.find((name) => benches[name] === undefined)
if (unknown !== undefined) {
  tell(`There is no bench "${unknown}". Name some of: ${Object.keys(benches).join(', ')}.`)
  process.exit(2)
}

for (const [name, bench] of Object.entries(benches)) {
  if (named.length > 0 && !named.includes(name)) continue
  tell(`\n${name} …`)
  const quiet = new Quiet()
  const report = await bench(quiet)
  show(report, quiet)
  if (!report.pass) process.exitCode = 1
}
