import { fieldOf, listOf, stringsOf, textOf } from './kubernetes-object.ts'

/**
 * Whether a Kubernetes label selector takes `labels`. `open`: there may be labels besides these, so a
 * label that is not among them decides nothing, and whatever may be taken is.
 */
export function isSelected(
  selector: unknown,
  labels: ReadonlyMap<string, string>,
  open: boolean,
): boolean {
  for (const [name, value] of stringsOf(fieldOf(selector, 'matchLabels'))) {
    const own = labels.get(name)
    if (own !== value && !(open && own === undefined)) return false
  }
  return listOf(selector, 'matchExpressions').every((expression) => {
    const own = labels.get(textOf(expression, 'key'))
    const values = listOf(expression, 'values')
    if (own === undefined && open) return true
    switch (textOf(expression, 'operator')) {
      case 'In':
        return own !== undefined && values.includes(own)
      case 'NotIn':
        return own === undefined || !values.includes(own)
      case 'Exists':
        return own !== undefined
      case 'DoesNotExist':
        return own === undefined
      default:
        return false
    }
  })
}
