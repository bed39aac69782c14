package house

import (
	"fmt"
	"go/ast"
	"go/token"
)

const (
	maxFileLines     = 800
	maxFuncLines     = 70
	maxPayLines      = 200 // `pay` tells the whole story of a payment in one place
	maxMethods       = 5
	maxParams        = 4
	payFunc, payRoom = "pay", "switch"
)

var vagueNames = map[string]bool{
	"models": true, "types": true, "utils": true, "util": true, "common": true,
	"manager": true, "helper": true, "helpers": true,
}

// fileSizes: no file above the hard stop.
func fileSizes(tr *tree) (bad []string) {
	for _, s := range tr.sources {
		if s.lines > maxFileLines {
			bad = append(bad, fmt.Sprintf("%s: %d lines, at most %d", s.path, s.lines, maxFileLines))
		}
	}
	return bad
}

// funcSizes: no function above the limit. A table in a test is data and does not count.
func funcSizes(tr *tree) (bad []string) {
	for _, s := range tr.sources {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			limit := maxFuncLines
			if s.dir == payRoom && f.Name.Name == payFunc {
				limit = maxPayLines
			}
			from, to := tr.fset.Position(f.Type.Func).Line, tr.fset.Position(f.End()).Line
			n := to - from + 1
			if s.test {
				n -= tr.tableLines(f.Body)
			}
			if n > limit {
				bad = append(bad, tr.at(f, "%s has %d lines, at most %d", f.Name.Name, n, limit))
			}
		}
	}
	return bad
}

// tableLines are the lines between the braces of the composite literals of a body.
func (tr *tree) tableLines(body *ast.BlockStmt) (lines int) {
	ast.Inspect(body, func(n ast.Node) bool {
		table, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		lines += max(tr.fset.Position(table.Rbrace).Line-tr.fset.Position(table.Lbrace).Line-1, 0)
		return false
	})
	return lines
}

// packageNames: a package is named after what it hides.
func packageNames(tr *tree) (bad []string) {
	for _, s := range tr.sources {
		if name := s.file.Name.Name; vagueNames[name] {
			bad = append(bad, tr.at(s.file.Name, "package %s says nothing", name))
		}
	}
	return bad
}

// interfaceSizes: few methods; embedded interfaces of other packages are not counted.
func interfaceSizes(tr *tree) (bad []string) {
	for _, s := range tr.sources {
		ast.Inspect(s.file, func(n ast.Node) bool {
			it, ok := n.(*ast.InterfaceType)
			if !ok {
				return true
			}
			if c := tr.countMethods(s.dir, it, 0); c > maxMethods {
				bad = append(bad, tr.at(it, "interface with %d methods, at most %d", c, maxMethods))
			}
			return true
		})
	}
	return bad
}

func (tr *tree) countMethods(dir string, it *ast.InterfaceType, depth int) int {
	count := 0
	for _, m := range it.Methods.List {
		switch t := m.Type.(type) {
		case *ast.FuncType:
			count += len(m.Names)
		case *ast.Ident:
			if inner := tr.findInterface(dir, t.Name); inner != nil && depth < 8 {
				count += tr.countMethods(dir, inner, depth+1)
			}
		}
	}
	return count
}

func (tr *tree) findInterface(dir, name string) *ast.InterfaceType {
	for _, s := range tr.sources {
		if s.dir != dir {
			continue
		}
		for _, d := range s.file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, spec := range g.Specs {
				ts := spec.(*ast.TypeSpec)
				if it, ok := ts.Type.(*ast.InterfaceType); ok && ts.Name.Name == name {
					return it
				}
			}
		}
	}
	return nil
}

// paramCounts: a longer list of parameters wants a struct. A leading context or
// testing value is not counted.
func paramCounts(tr *tree) (bad []string) {
	for _, s := range tr.sources {
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch d := n.(type) {
			case *ast.FuncDecl:
				if c := countParams(d.Type); c > maxParams {
					bad = append(bad, tr.at(d, "%s takes %d parameters, at most %d", d.Name.Name, c, maxParams))
				}
			case *ast.InterfaceType:
				for _, m := range d.Methods.List {
					f, ok := m.Type.(*ast.FuncType)
					if ok && countParams(f) > maxParams {
						bad = append(bad, tr.at(m, "method takes %d parameters, at most %d", countParams(f), maxParams))
					}
				}
			}
			return true
		})
	}
	return bad
}

func countParams(f *ast.FuncType) int {
	count := 0
	for i, p := range f.Params.List {
		n := max(len(p.Names), 1)
		if i == 0 && uncounted(p.Type) {
			n--
		}
		count += n
	}
	return count
}

// uncounted: context.Context, *testing.T, *testing.B, *testing.F, testing.TB, *rapid.T.
func uncounted(e ast.Expr) bool {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	return ok && (pkg.Name == "context" && sel.Sel.Name == "Context" || pkg.Name == "testing" || pkg.Name == "rapid")
}
