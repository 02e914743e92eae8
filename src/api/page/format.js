// Formats numbers and times for people.

/** @param {number} ms */
export function duration(ms) {
  if (ms < 120_000) return `${Math.max(0, Math.round(ms / 1000))} s`
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} days`
}

/** @param {string} instant */
export function since(instant) {
  return duration(Date.now() - Date.parse(instant))
}

/** @param {string} instant */
export function clock(instant) {
  return new Date(instant).toLocaleTimeString([], { hour12: false })
}

/** @param {string} instant */
export function date(instant) {
  return new Date(instant).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short', hour12: false })
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1_000) return `${bytes} B`
  return bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`
}

/**
 * @param {number} number
 * @param {string} singular
 */
export function count(number, singular) {
  return `${amount(number)} ${singular}${number === 1 ? '' : 's'}`
}

/** @param {number} number */
export function amount(number) {
  return number.toLocaleString('en')
}
