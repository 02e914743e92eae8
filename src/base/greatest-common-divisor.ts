/** Whatever their signs; 0 when both are 0. */
export function greatestCommonDivisor(a: number, b: number): number {
  let [big, small] = [Math.abs(a), Math.abs(b)]
  while (small > 0) [big, small] = [small, big % small]
  return big
}
