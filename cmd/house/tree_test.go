package house

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tranzit/tranzit"

// source is one parsed Go file of the tree.
type source struct {
	path    string // slash-separated, from the root of the tree
	dir     string
	test    bool
	lines   int
	file    *ast.File
	imports []string
}

// tree is everything the rules look at.
type tree struct {
	fset    *token.FileSet
	sources []*source
	texts   map[string][]byte // every text file, Go or not
}

// skipped folders hold what the build or a running switch made.
var skipped = map[string]bool{".git": true, "bin": true, "tranzit-data": true}

func loadTree(t *testing.T, root string) *tree {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipped[d.Name()] {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || d.Name() == ".git" { // a file in a linked worktree
			return nil
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(rel)] = data
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return parseTree(t, files)
}

func parseTree(t *testing.T, files map[string][]byte) *tree {
	t.Helper()
	tr := &tree{fset: token.NewFileSet(), texts: map[string][]byte{}}
	for name, data := range files {
		if bytes.IndexByte(data, 0) >= 0 {
			continue
		}
		tr.texts[name] = data
		if !strings.HasSuffix(name, ".go") || strings.Contains(name, "testdata/") {
			continue
		}
		f, err := parser.ParseFile(tr.fset, name, data, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s := &source{path: name, dir: path.Dir(name), file: f, test: strings.HasSuffix(name, "_test.go")}
		s.lines = bytes.Count(data, []byte("\n"))
		for _, im := range f.Imports {
			p, err := strconv.Unquote(im.Path.Value)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			s.imports = append(s.imports, p)
		}
		tr.sources = append(tr.sources, s)
	}
	return tr
}

// at renders a finding with its place.
func (tr *tree) at(n ast.Node, format string, args ...any) string {
	return tr.fset.Position(n.Pos()).String() + ": " + fmt.Sprintf(format, args...)
}
