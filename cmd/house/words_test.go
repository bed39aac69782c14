package house

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The marks are spelled in pieces, so that this file does not find itself.
var (
	unfinished  = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)
	machinePath = regexp.MustCompile(`(^|[^A-Za-z0-9_.-])/(wo` + `rk|ro` + `ot)/`)
	floating    = regexp.MustCompile(`@lat` + `est\b`)
)

// scriptKinds are text files other than Go that carry code.
var scriptKinds = []string{".sh", ".yaml", ".yml", ".html", ".css", ".mod", "Makefile", "run"}

// unfinishedWork: nothing is left for later in the tree.
func unfinishedWork(tr *tree) (bad []string) {
	for _, s := range tr.sources {
		for _, g := range s.file.Comments {
			for _, c := range g.List {
				if m := unfinished.FindString(c.Text); m != "" {
					bad = append(bad, tr.at(c, "%s in a comment", m))
				}
			}
		}
	}
	return append(bad, tr.grep(unfinished, isScript)...)
}

// machinePaths: no file knows where somebody's tree lies.
func machinePaths(tr *tree) []string {
	return tr.grep(machinePath, func(string) bool { return true })
}

// floatingVersions: scripts and manifests name exact versions.
func floatingVersions(tr *tree) []string { return tr.grep(floating, isScript) }

func isScript(name string) bool {
	return slices.Contains(scriptKinds, path.Ext(name)) || slices.Contains(scriptKinds, path.Base(name))
}

func (tr *tree) grep(re *regexp.Regexp, want func(name string) bool) (bad []string) {
	for name, data := range tr.texts {
		if !want(name) {
			continue
		}
		for i, line := range bytes.Split(data, []byte("\n")) {
			if m := re.Find(line); m != nil {
				bad = append(bad, fmt.Sprintf("%s:%d: holds %q", name, i+1, strings.TrimSpace(string(m))))
			}
		}
	}
	return bad
}

// sleeps: a test waits for an event, not for time. In a synctest bubble time is
// virtual and sleeping is how it moves, so files that use synctest are free.
func sleeps(tr *tree) (bad []string) {
	for _, s := range tr.sources {
		if !s.test || slices.Contains(s.imports, "testing/synctest") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" && sel.Sel.Name == "Sleep" {
				bad = append(bad, tr.at(sel, "a test sleeps"))
			}
			return true
		})
	}
	return bad
}

// selfEvident methods implement interfaces that everybody knows; a comment would
// repeat their names.
var selfEvident = map[string]bool{"Error": true, "Unwrap": true, "Is": true, "String": true, "GoString": true, "Len": true,
	"Less": true, "Swap": true}

// docComments: packages and exported names of production files are documented.
func docComments(tr *tree) (bad []string) {
	documented := map[string]bool{}
	for _, s := range tr.sources {
		if s.file.Doc != nil {
			documented[s.dir] = true
		}
	}
	missing := map[string]bool{}
	for _, s := range tr.sources {
		if s.test {
			continue
		}
		if !documented[s.dir] && !missing[s.dir] {
			missing[s.dir] = true
			bad = append(bad, fmt.Sprintf("%s: package %s has no comment", s.dir, s.file.Name.Name))
		}
		for _, d := range s.file.Decls {
			bad = append(bad, tr.undocumented(d)...)
		}
	}
	return bad
}

func (tr *tree) undocumented(d ast.Decl) (bad []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && ast.IsExported(receiver(d)) && (d.Recv == nil || !selfEvident[d.Name.Name]) {
			bad = append(bad, tr.at(d, "%s has no comment", d.Name.Name))
		}
	case *ast.GenDecl:
		if d.Tok == token.IMPORT || d.Doc != nil {
			return nil
		}
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Doc == nil && s.Comment == nil && s.Name.IsExported() {
					bad = append(bad, tr.at(s, "%s has no comment", s.Name.Name))
				}
			case *ast.ValueSpec:
				if s.Doc == nil && s.Comment == nil && s.Names[0].IsExported() {
					bad = append(bad, tr.at(s, "%s has no comment", s.Names[0].Name))
				}
			}
		}
	}
	return bad
}

// receiver is the name of the method's type, or an exported stand-in for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return "Function"
	}
	e := d.Recv.List[0].Type
	for {
		switch t := e.(type) {
		case *ast.StarExpr:
			e = t.X
		case *ast.IndexExpr:
			e = t.X
		case *ast.IndexListExpr:
			e = t.X
		case *ast.Ident:
			return t.Name
		default:
			return ""
		}
	}
}
