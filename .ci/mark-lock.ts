// npm compiles whatever has a binding.gyp, which takes Python and a compiler, unless the package says `gypfile: false`.
// better-sqlite3 says it, for it brings its binaries, but npm 9 to 11 go by the lock file alone and leave the word out
// of it (npm/cli; WiseLibs/better-sqlite3 1503). This puts it in, after every change that npm made to the file.

import { readFileSync, writeFileSync } from 'node:fs'

const file = new URL('../package-lock.json', import.meta.url)
const lock = JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, { gypfile?: boolean }> }
const sqlite = lock.packages['node_modules/better-sqlite3']
if (!sqlite) throw new Error('package-lock.json has no better-sqlite3')
sqlite.gypfile = false
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
