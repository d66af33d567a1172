const LEAST_ALIKE = 2

/** For a message: which of `known` is meant by `name`, or all of them where none begins alike. */
export function alikeName(name: string, known: readonly string[]): string {
  const letters = lettersOf(name)
  const [best] = known
    .map((candidate) => ({ candidate, alike: alikeLength(letters, lettersOf(candidate)) }))
    .filter(({ alike }) => alike >= LEAST_ALIKE)
    .toSorted((a, b) => b.alike - a.alike || a.candidate.length - b.candidate.length)
  return best === undefined ? `known: ${known.join(', ')}` : `did you mean ${best.candidate}?`
}

function lettersOf(name: string): string {
  return name.toLowerCase().replaceAll('_', '')
}

function alikeLength(a: string, b: string): number {
  let length = 0
  while (length < a.length && a[length] === b[length]) length++
  return length
}
