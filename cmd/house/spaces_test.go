package house

import (
	"go/ast"
	"go/token"
)

// spaces: no byte names two spaces of the journal.
func spaces(tr *tree) (bad []string) {
	taken := map[string]string{}
	for _, s := range tr.sources {
		if s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Values) != 1 {
				return true
			}
			typ, ok := v.Type.(*ast.SelectorExpr)
			value, lit := v.Values[0].(*ast.BasicLit)
			if !ok || typ.Sel.Name != "Space" || !lit || value.Kind != token.CHAR {
				return true
			}
			if other := taken[value.Value]; other != "" {
				bad = append(bad, tr.at(v, "%s is the space %s already", value.Value, other))
			}
			taken[value.Value] = v.Names[0].Name
			return true
		})
	}
	return bad
}
