package iso

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Page is a dialect for people: what its file says, inherited parts included, in
// tables.
type Page struct {
	ID        string      `json:"id"`
	Title     string      `json:"title"`
	Version   int         `json:"version"`
	Effective string      `json:"effective,omitempty"` // YYYY-MM-DD
	Until     string      `json:"until,omitempty"`     // YYYY-MM-DD, the last day
	Tables    []PageTable `json:"tables"`
}

// PageTable is one table of a Page.
type PageTable struct {
	Title   string     `json:"title"`
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

// Difference is one setting in which two dialects differ. An absent side is empty.
type Difference struct {
	Block string `json:"block"` // the top block of the file
	Path  string `json:"path"`
	Name  string `json:"name,omitempty"` // of the field it is about
	Old   string `json:"old"`
	New   string `json:"new"`
}

// grown is a dialect with the tree it was read from, inherited parts merged.
type grown struct {
	*Dialect
	root *yaml.Node
}

func grow(nameOrPath string) (grown, error) {
	d, err := Resolve(nameOrPath)
	if err != nil {
		return grown{}, err
	}
	name, text := nameOrPath, []byte(nil)
	if slices.Contains(builtinNames, nameOrPath) {
		name = nameOrPath + ".yaml"
		text, err = BuiltinFile(nameOrPath)
	} else {
		text, err = readFile(nameOrPath)
	}
	if err != nil {
		return grown{}, err
	}
	r := reader{file: name}
	root := r.document(text)
	if root != nil {
		r.inherit(root, name)
	}
	if len(r.problems) > 0 {
		return grown{}, r.problems[0]
	}
	return grown{d, root}, nil
}

// Describe reads a built-in dialect or a dialect file and lays it out for people.
func Describe(nameOrPath string) (*Page, error) {
	g, err := grow(nameOrPath)
	if err != nil {
		return nil, err
	}
	p := &Page{ID: g.id, Title: g.title, Version: g.version}
	if !g.from.IsZero() {
		p.Effective = g.from.Format(time.DateOnly)
	}
	if !g.end.IsZero() {
		p.Until = g.end.AddDate(0, 0, -1).Format(time.DateOnly)
	}
	for key, val := range entries(g.root) {
		switch key {
		case "meta", "golden":
		case "encoding":
			p.encoding(g, val)
		case "messages":
			p.messages(g, val, "Message ")
		case "answers":
			p.messages(g, val, "Answer ")
		case "network":
			p.network(g, val)
		case "responses":
			p.responses(val)
		default:
			p.settings(strings.ToUpper(key[:1])+strings.ReplaceAll(key[1:], "_", " "), val)
		}
	}
	if len(g.golden) > 0 {
		t := PageTable{Title: "Golden vectors", Columns: []string{"Vector", "Type", "Bytes"}}
		for _, v := range g.golden {
			t.Rows = append(t.Rows, []string{v.name, v.want.MTI.String(), fmt.Sprint(len(v.body))})
		}
		p.Tables = append(p.Tables, t)
	}
	return p, nil
}

// Binary reports whether a Message holds the field as bytes rather than text.
func (d *Dialect) Binary(field int) bool { return d.isBinary(field) }

// entries yields the keys of a mapping in the order of the file.
func entries(n *yaml.Node) func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		for i := 0; n != nil && n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i].Value, n.Content[i+1]) {
				return
			}
		}
	}
}

// byNumber are the entries in the order of their keys, numbers by their value.
func byNumber(n *yaml.Node) []string {
	var keys []string
	for key := range entries(n) {
		keys = append(keys, key)
	}
	slices.SortStableFunc(keys, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return keys
}

func valueOf(n *yaml.Node, key string) *yaml.Node {
	for k, v := range entries(n) {
		if k == key {
			return v
		}
	}
	return nil
}

// inline writes a node on one line, as a file may hold it.
func inline(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	var parts []string
	switch n.Kind {
	case yaml.MappingNode:
		for key, val := range entries(n) {
			parts = append(parts, key+": "+inline(val))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case yaml.SequenceNode:
		for _, item := range n.Content {
			parts = append(parts, inline(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return n.Value
}

func (p *Page) settings(title string, n *yaml.Node) {
	t := PageTable{Title: title, Columns: []string{"Setting", "Value"}}
	flatten(n, "", func(path, value string) { t.Rows = append(t.Rows, []string{path, value}) })
	p.Tables = append(p.Tables, t)
}

// flatten visits every value below n that is no mapping, with its path.
func flatten(n *yaml.Node, path string, visit func(path, value string)) {
	if n.Kind != yaml.MappingNode {
		visit(path, inline(n))
		return
	}
	for key, val := range entries(n) {
		flatten(val, strings.TrimPrefix(path+"."+key, "."), visit)
	}
}

func (p *Page) encoding(g grown, n *yaml.Node) {
	wire := PageTable{Title: "Encoding", Columns: []string{"Setting", "Value"}}
	fields := PageTable{Title: "Fields", Columns: []string{"Field", "Name", "Class", "Length", "On the wire", "Shown"}}
	for key, val := range entries(n) {
		if key == "fields" {
			for _, number := range byNumber(val) {
				f, _ := strconv.Atoi(number)
				fields.Rows = append(fields.Rows, fieldRow(number, g.FieldName(f), valueOf(val, number)))
			}
			continue
		}
		wire.Rows = append(wire.Rows, []string{key, inline(val)})
	}
	p.Tables = append(p.Tables, wire, fields)
}

func fieldRow(number, name string, n *yaml.Node) []string {
	class, length, mask, wire := inline(valueOf(n, "class")), inline(valueOf(n, "len")), inline(valueOf(n, "mask")), []string{}
	if length == "" {
		length = "up to " + inline(valueOf(n, "max"))
	}
	for key, val := range entries(n) {
		switch key {
		case "class", "len", "max", "mask", "name":
		case "content":
			wire = append([]string{val.Value}, wire...)
		case "var":
			wire = append(wire, "length: "+strings.Trim(inline(val), "{}"))
		default:
			wire = append(wire, key+": "+strings.Trim(inline(val), "{}"))
		}
	}
	if mask == "" {
		mask = "whole"
	}
	return []string{number, name, class, length, strings.Join(wire, "; "), mask}
}

func (p *Page) messages(g grown, n *yaml.Node, title string) {
	for key, message := range entries(n) {
		t := PageTable{Title: title + key, Columns: []string{"Field", "Name", "Presence", "Value"}}
		if mti := valueOf(message, "mti"); mti != nil {
			t.Title += " (" + mti.Value + ")"
		}
		fields := valueOf(message, "fields")
		for _, number := range byNumber(fields) {
			row, presence := valueOf(fields, number), "always"
			var says []string
			for word, val := range entries(row) {
				if word == "optional" {
					if val.Value == "true" {
						presence = "when there is a value"
					}
					continue
				}
				if word == "echo" {
					presence = "when the request has it"
				}
				says = append(says, word+" "+inline(val))
			}
			f, _ := strconv.Atoi(number)
			t.Rows = append(t.Rows, []string{number, g.FieldName(f), presence, strings.Join(says, "; ")})
		}
		p.Tables = append(p.Tables, t)
		if rest := messageRest(message); len(rest) > 0 {
			p.Tables = append(p.Tables, PageTable{Title: title + key + ", rules", Columns: []string{"Setting", "Value"}, Rows: rest})
		}
	}
}

// network are the settings of the links, and a table of their steps.
func (p *Page) network(g grown, n *yaml.Node) {
	wire := PageTable{Title: "Network", Columns: []string{"Setting", "Value"}}
	steps := PageTable{Title: "Network steps", Columns: []string{"Step", "Type", "Code", "Started by", "Effect of the bank's", "More"}}
	for key, val := range entries(n) {
		if key != "steps" {
			wire.Rows = append(wire.Rows, []string{key, inline(val)})
			continue
		}
		for name, row := range entries(val) {
			st, more := g.NetworkStep(name), []string(nil)
			for word, what := range entries(row) {
				if !slices.Contains([]string{"code", "by", "effect", "mti"}, word) {
					more = append(more, word+" "+inline(what))
				}
			}
			steps.Rows = append(steps.Rows, []string{name, st.program.mti.String(), fmt.Sprintf("%s in field %d", st.Code, st.field),
				inline(valueOf(row, "by")), inline(valueOf(row, "effect")), strings.Join(more, "; ")})
		}
	}
	p.Tables = append(p.Tables, wire, steps)
}

// messageRest are the settings of a message besides its type and fields.
func messageRest(message *yaml.Node) (rows [][]string) {
	for key, val := range entries(message) {
		switch {
		case key == "mti" || key == "fields":
		case val.Kind == yaml.SequenceNode:
			for _, item := range val.Content {
				rows = append(rows, []string{key, inline(item)})
			}
		default:
			rows = append(rows, []string{key, inline(val)})
		}
	}
	return rows
}

func (p *Page) responses(n *yaml.Node) {
	t := PageTable{Title: "Response codes", Columns: []string{"Code", "Result", "Decline", "Retry", "Message"}}
	row := func(code string, n *yaml.Node) {
		r := []string{code}
		for _, key := range []string{"result", "decline", "retry", "message"} {
			r = append(r, inline(valueOf(n, key)))
		}
		t.Rows = append(t.Rows, r)
	}
	codes := valueOf(n, "codes")
	for _, code := range byNumber(codes) {
		row(code, valueOf(codes, code))
	}
	if unknown := valueOf(n, "unknown"); unknown != nil {
		row("any other", unknown)
	}
	p.Tables = append(p.Tables, t)
}

// Compare reads two dialects and lists the settings in which they differ, by
// block and in the order of the first. Order, comments and layout of the files
// make no difference, nor does what they inherit and what they say themselves.
func Compare(from, to string) ([]Difference, error) {
	var sides [2]map[string]string
	var order []string
	var both [2]grown
	for i, name := range []string{from, to} {
		g, err := grow(name)
		if err != nil {
			return nil, err
		}
		both[i], sides[i] = g, map[string]string{}
		for block, val := range entries(g.root) {
			if block == "golden" {
				continue
			}
			flatten(val, block, func(path, value string) {
				sides[i][path] = value
				if i == 0 || sides[0][path] == "" {
					order = append(order, path)
				}
			})
		}
	}
	var out []Difference
	for _, path := range order {
		if sides[0][path] == sides[1][path] {
			continue
		}
		block, _, _ := strings.Cut(path, ".")
		out = append(out, Difference{Block: block, Path: path, Name: fieldNamed(both, path), Old: sides[0][path], New: sides[1][path]})
	}
	slices.SortStableFunc(out, func(a, b Difference) int { return strings.Compare(a.Block, b.Block) })
	return out, nil
}

func fieldNamed(both [2]grown, path string) string {
	_, rest, ok := strings.Cut(path, ".fields.")
	number, _, _ := strings.Cut(rest, ".")
	f, err := strconv.Atoi(number)
	if !ok || err != nil {
		return ""
	}
	if both[1].fieldsNamed(number) {
		return both[1].FieldName(f)
	}
	return both[0].FieldName(f)
}

func (g grown) fieldsNamed(number string) bool {
	return valueOf(valueOf(valueOf(g.root, "encoding"), "fields"), number) != nil
}
