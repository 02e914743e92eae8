// Which settings differ between two configs of the same kind.

/** Returns paths such as `mail.receive`. A list counts as one setting. */
export function changedSettings(before: object, after: object): readonly string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...keys].flatMap((key) => {
    const [old, now] = [before, after].map((config) => (config as Record<string, unknown>)[key])
    if (isTable(old) && isTable(now)) return changedSettings(old, now).map((rest) => `${key}.${rest}`)
    return JSON.stringify(old) === JSON.stringify(now) ? [] : [key]
  })
}

function isTable(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
