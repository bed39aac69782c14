package report

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"strconv"
)

// File is one result file.
type File struct {
	Name string
	Text []byte
}

// Options of a page.
type Options struct {
	// Title of the page. Default "Tranzit bench report".
	Title string
	// Machine is shown for results that do not say where they were measured, marked
	// as the machine that made the report. nil: nothing is shown.
	Machine *Machine
}

const maxFiles = 200

//go:embed page.html page.css
var pageFiles embed.FS

var pageTemplate = template.Must(template.ParseFS(pageFiles, "page.html"))

// page is what the template shows.
type page struct {
	Title    string
	Style    template.CSS
	Sections []*section
}

// section is one document, ready to be shown.
type section struct {
	ID, Title, Subtitle string
	Good                bool
	Verdict             string
	Reasons             []string
	Cards               []card
	Plots               []template.HTML
	Tables              []table
	Notes               []string
}

// card is one large number.
type card struct{ Name, Value, Note string }

// table is shown as it is; a row with a mark stands out.
type table struct {
	Title string
	Head  []string
	Rows  []row
}

type row struct {
	Cells []string
	Mark  string // class of the last cell: good, bad, dull
}

func (s *section) plot(p *Plot) { s.draw(p.SVG()) }

// draw adds an SVG text made by this package, which escapes what it is given.
func (s *section) draw(svg string) { s.Plots = append(s.Plots, template.HTML(svg)) } //nolint:gosec // our own picture

func (s *section) pairs(title string, rows [][]string) {
	t := table{Title: title}
	for _, r := range rows {
		t.Rows = append(t.Rows, row{Cells: r})
	}
	s.Tables = append(s.Tables, t)
}

// Write makes one self-contained page of the files' documents, in their order. A
// file that is no result of the bench suite is an error that names it.
func Write(w io.Writer, files []File, o Options) error {
	if len(files) == 0 || len(files) > maxFiles {
		return fmt.Errorf("files: 1..%d results make a report", maxFiles)
	}
	var all []document
	for _, f := range files {
		more, err := parseDocuments(f.Name, f.Text)
		if err != nil {
			return err
		}
		all = append(all, more...)
	}
	if len(all) == 0 || len(all) > maxFiles {
		return errors.New("files: they hold no result, or too many")
	}
	style, err := pageFiles.ReadFile("page.css")
	if err != nil {
		return err
	}
	p := page{Title: o.Title, Style: template.CSS(style)} //nolint:gosec // our own file
	if p.Title == "" {
		p.Title = "Tranzit bench report"
	}
	if s := overview(all); s != nil {
		p.Sections = append(p.Sections, s)
	}
	unknown := false
	for _, d := range all {
		s := d.section()
		p.Sections = append(p.Sections, s)
		if m := d.machine(); m != nil {
			s.pairs("Machine", m.rows())
		} else {
			unknown = true
		}
	}
	if unknown && o.Machine != nil {
		s := &section{Title: "Machine", Good: true, Subtitle: "The machine that made this report, at that time. The runs do not say where they were measured."}
		s.pairs("", o.Machine.rows())
		p.Sections = append(p.Sections, s)
	}
	for i, s := range p.Sections {
		s.ID = "s" + strconv.Itoa(i+1)
	}
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, p); err != nil {
		return err
	}
	_, err = w.Write(out.Bytes())
	return err
}

func (d *document) machine() *Machine {
	switch {
	case d.curve != nil:
		return &d.curve.Machine
	case d.goals != nil:
		return &d.goals.Machine
	case d.comparison != nil:
		return d.comparison.Machine
	}
	return nil
}

func (d *document) section() *section {
	switch {
	case d.curve != nil:
		return d.curve.section()
	case d.goals != nil:
		return d.goals.section()
	case d.comparison != nil:
		return d.comparison.section()
	case d.search != nil:
		return searchSection(d.name, d.search)
	}
	return runSection(d.name, d.run)
}
