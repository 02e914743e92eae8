// The repository's documents and the commands in them.

import { globSync, readFileSync } from 'node:fs'

/** README, changelog and everything in docs/. */
export const documents: readonly string[] = ['README.md', 'CHANGELOG.md', ...globSync('docs/**/*.md').sort()]

/** Commands in the fenced `sh` blocks, with continued lines joined. */
export function commandsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap((block) =>
    (block[1] ?? '')
      .replace(/\\\n\s*/g, '')
      .split('\n')
      .filter((line) => line.trim() !== ''),
  )
}

/** Commands in the fenced `console` blocks, which start with `$`. */
export function consoleCommandsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/^```console\n([\s\S]*?)^```$/gm)].flatMap((block) =>
    [...(block[1] ?? '').matchAll(/^\$ (.*)$/gm)].map(([, command = '']) => command),
  )
}

/** The anchors of a document's headings, in GitHub's form. */
export function anchorsOf(file: string): Set<string> {
  const anchors = new Set<string>()
  const text = readFileSync(file, 'utf8').replace(/^```[\s\S]*?^```$/gm, '')
  for (const [, heading = ''] of text.matchAll(/^#{1,6} (.+)$/gm)) {
    const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const anchor = words.replace(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-')
    for (let i = 0; ; i++) {
      const numbered = i === 0 ? anchor : `${anchor}-${i}`
      if (anchors.has(numbered)) continue
      anchors.add(numbered)
      break
    }
  }
  return anchors
}
