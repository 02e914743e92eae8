// `npm run bench`: measures the product against bare loops over the same libraries and servers. Arguments
// select benchmarks. `nat --runs=5` limits the runs per pair and network condition; `link --part=stream` and
// `postgres --part=kills` select one part; `hostile --letters=5000` limits the letters, `soak --minutes=1` the
// time. Long benchmarks without a comparison run only when they are named. Prints one JSON line each on stdout
// and a table on stderr; exit code 1 when a target is missed.

import { IdleWait } from './idle-wait.ts'
import { printProgress, printReport, type Report } from './report.ts'

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

const benches: Readonly<Record<string, (idleWait: IdleWait) => Promise<Report | readonly Report[]>>> = {
  reply: async (idleWait) => (await import('./reply.ts')).benchReply(idleWait),
  backlog: async (idleWait) => (await import('./backlog.ts')).benchBacklog(idleWait),
  table: async (idleWait) => (await import('./table.ts')).benchTable(idleWait),
  hosts: async () => (await import('./hosts.ts')).benchHosts(),
  postgres: async (idleWait) => (await import('./postgres.ts')).benchPostgres(idleWait, part),
  hostile: async () => (await import('./hostile.ts')).benchHostile(letters),
  soak: async () => (await import('./soak.ts')).benchSoak(minutes),
  install: async () => (await import('./install.ts')).benchInstall(),
  link: async (idleWait) => (await import('./link.ts')).benchLink(idleWait, part),
  nat: async (idleWait) => {
    const { benchNat, natOptions } = await import('./nat.ts')
    // A small grid is only for a quick look and does not redraw the picture.
    return runs ? benchNat(idleWait, { ...natOptions, each: runs, picture: null }) : benchNat(idleWait)
  },
}

const onlyNamed = ['hostile', 'hosts', 'install', 'postgres', 'soak']

const named = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const unknown = named.find((name) => benches[name] === undefined)
if (unknown !== undefined) {
  printProgress(`There is no bench "${unknown}". Name some of: ${Object.keys(benches).join(', ')}.`)
  process.exit(2)
}

for (const [name, bench] of Object.entries(benches)) {
  if (named.length > 0 ? !named.includes(name) : onlyNamed.includes(name)) continue
  printProgress(`\n${name} …`)
  const idleWait = new IdleWait()
  for (const report of [await bench(idleWait)].flat()) {
    printReport(report, idleWait)
    if (!report.pass) process.exitCode = 1
  }
}
