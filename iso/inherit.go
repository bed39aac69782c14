package iso

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxLineage bounds how many files stand behind one dialect.
const maxLineage = 8

// lineBits are the bits of a node's line that count lines; those above them count
// the files that a dialect inherits from, 0 for its own.
const lineBits = 24

// lineage are a dialect's file and those it inherits from, the nearest first.
type lineage struct{ files []string }

// inherit completes the mapping top by the file its key inherits names, and that
// by its own. The blocks meta and golden are each file's own.
func (r *reader) inherit(top *yaml.Node, file string) {
	if r.bases == nil {
		r.bases = &lineage{files: []string{file}}
	}
	name := dropKey(top, "inherits")
	if name == nil {
		return
	}
	text, path, fault := r.bases.open(name.Value, file)
	if fault != "" {
		r.fail(name.Line, "inherits: %s", fault)
		return
	}
	r.bases.files = append(r.bases.files, path)
	known := len(r.problems)
	base := r.document(text)
	for _, p := range r.problems[known:] {
		p.File = path
	}
	if base == nil {
		return
	}
	mark(base, len(r.bases.files)-1)
	if base.Kind != yaml.MappingNode {
		r.fail(base.Line, "the file must be a mapping, written as key: value")
		return
	}
	r.inherit(base, path)
	dropKey(base, "meta")
	dropKey(base, "golden")
	merge(top, base, "")
}

// dropKey removes a key of a mapping and returns its value, nil: it has none.
func dropKey(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			val := n.Content[i+1]
			n.Content = slices.Delete(n.Content, i, i+2)
			return val
		}
	}
	return nil
}

// open reads a base: a built-in, or a file in the folder of the one that names it.
func (l *lineage) open(name, from string) (text []byte, path, fault string) {
	path = name + ".yaml"
	builtin := slices.Contains(builtinNames, name)
	if !builtin {
		if name == "" || strings.ContainsAny(name, `/\`) || !strings.HasSuffix(name, ".yaml") {
			return nil, "", fmt.Sprintf("%q is no built-in dialect (%s) and no file; write inherits: ascii87, or the name of a file beside this one like base.yaml",
				name, strings.Join(builtinNames, ", "))
		}
		path = filepath.Join(filepath.Dir(from), name)
	}
	switch {
	case slices.Contains(l.files, path):
		return nil, "", fmt.Sprintf("%s inherits from itself: %s; break the circle", path, strings.Join(append(l.files, path), " <- "))
	case len(l.files) > maxLineage:
		return nil, "", fmt.Sprintf("more than %d files stand behind each other; write the blocks out", maxLineage)
	}
	var err error
	if builtin {
		text, err = builtinFiles.ReadFile("dialects/" + path)
	} else {
		text, err = readFile(path)
	}
	switch {
	case os.IsNotExist(err):
		return nil, "", fmt.Sprintf("there is no file %s; write the name of a file beside this one, or a built-in dialect", path)
	case err != nil:
		return nil, "", err.Error()
	}
	return text, path, ""
}

// mark notes in the lines of a base which file they count in.
func mark(n *yaml.Node, file int) {
	n.Line += file << lineBits
	for _, c := range n.Content {
		mark(c, file)
	}
}

// merge completes the mapping n by what base has besides. Lists, plain values and
// whatever describes one thing as a whole are the child's alone; a key of the
// child without a value (null) takes the inherited one away.
func merge(n, base *yaml.Node, path string) {
	for i := 0; i+1 < len(base.Content); i += 2 {
		key, val := base.Content[i], base.Content[i+1]
		at := strings.TrimPrefix(path+"."+key.Value, ".")
		j := 0
		for j+1 < len(n.Content) && n.Content[j].Value != key.Value {
			j += 2
		}
		switch {
		case j+1 >= len(n.Content):
			n.Content = append(n.Content, key, val)
		case n.Content[j+1].Tag == "!!null":
			n.Content = slices.Delete(n.Content, j, j+2)
		case n.Content[j+1].Kind == yaml.MappingNode && val.Kind == yaml.MappingNode && !whole(at):
			merge(n.Content[j+1], val, at)
		}
	}
}

// whole reports whether a mapping describes one thing, so that a part of it means
// nothing without the rest.
func whole(path string) bool {
	parts := strings.Split(path, ".")
	switch {
	case path == "link.frame", path == "header", path == "encoding.fallback", path == "encoding.private", path == "responses.unknown":
		return true
	case strings.HasPrefix(path, "encoding.fields."), strings.HasPrefix(path, "responses.codes."):
		return len(parts) >= 3
	case strings.HasPrefix(path, "network.steps."):
		return len(parts) >= 3
	case parts[0] == "messages" || parts[0] == "answers":
		return len(parts) >= 4
	}
	return false
}
