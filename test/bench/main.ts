// `npm run bench`: measures the product against bare loops over the same libraries and servers. Arguments name single
// benches; `nat --runs=5` makes do with so few runs of each pair and weather, `link --part=stream` and
// `postgres --part=kills` with one part,
// `hostile --letters=5000` with so many letters, `soak --minutes=1` for so long. Those that take long and compare nothing run only when named. One JSON
// line each on stdout, a table on stderr; exit code 1 when a target is missed.

import { Quiet } from './quiet.ts'
import { type Report, show, tell } from './report.ts'

const runs = Number(
  process.argv.find((argument) => argument.startsWith('--runs='))?.slice('--runs='.length) ?? 0,
)

const letters = Number(
  process.argv.find((argument) => argument.startsWith('--letters='))?.slice('--letters='.length) ?? 100_000,
)

const minutes = Number(
  process.argv.find((argument) => argument.startsWith('--minutes='))?.slice('--minutes='.length) ?? 10,
)

const part = process.argv.find((argument) => argument.startsWith('--part='))?.slice('--part='.length)

const benches: Readonly<Record<string, (quiet: Quiet) => Promise<Report | readonly Report[]>>> = {
  reply: async (quiet) => (await import('./reply.ts')).benchReply(quiet),
  backlog: async (quiet) => (await import('./backlog.ts')).benchBacklog(quiet),
  table: async (quiet) => (await import('./table.ts')).benchTable(quiet),
  hosts: async () => (await import('./hosts.ts')).benchHosts(),
  postgres: async (quiet) => (await import('./postgres.ts')).benchPostgres(quiet, part),
  hostile: async () => (await import('./hostile.ts')).benchHostile(letters),
  soak: async () => (await import('./soak.ts')).benchSoak(minutes),
  link: async (quiet) => (await import('./link.ts')).benchLink(quiet, part),
  nat: async (quiet) => {
    const { benchNat, natOptions } = await import('./nat.ts')
    // A small grid is for looking only; it leaves the picture alone.
    return runs ? benchNat(quiet, { ...natOptions, each: runs, picture: null }) : benchNat(quiet)
  },
}

const onlyNamed = ['hostile', 'hosts', 'postgres', 'soak']

const named = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const unknown = named.find((name) => benches[name] === undefined)
if (unknown !== undefined) {
  tell(`There is no bench "${unknown}". Name some of: ${Object.keys(benches).join(', ')}.`)
  process.exit(2)
}

for (const [name, bench] of Object.entries(benches)) {
  if (named.length > 0 ? !named.includes(name) : onlyNamed.includes(name)) continue
  tell(`\n${name} …`)
  const quiet = new Quiet()
  for (const report of [await bench(quiet)].flat()) {
    show(report, quiet)
    if (!report.pass) process.exitCode = 1
  }
}
