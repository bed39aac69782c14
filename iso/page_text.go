package iso

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteText writes the page for a terminal.
func (p *Page) WriteText(out io.Writer) error {
	fmt.Fprintf(out, "%s, version %d: %s\n", p.ID, p.Version, p.Title)
	if p.Effective != "" {
		fmt.Fprintf(out, "effective from %s\n", p.Effective)
	}
	if p.Until != "" {
		fmt.Fprintf(out, "effective until %s\n", p.Until)
	}
	for _, t := range p.Tables {
		fmt.Fprintf(out, "\n%s\n", strings.ToUpper(t.Title))
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, row := range slices.Concat([][]string{t.Columns}, t.Rows) {
			fmt.Fprintf(w, "  %s\n", strings.TrimRight(strings.Join(row, "\t"), "\t"))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// WriteMarkdown writes the page as documentation.
func (p *Page) WriteMarkdown(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Dialect %s, version %d\n\n%s.\n", p.ID, p.Version, strings.TrimSuffix(p.Title, "."))
	if p.Effective != "" {
		fmt.Fprintf(&b, "\nEffective from %s.\n", p.Effective)
	}
	if p.Until != "" {
		fmt.Fprintf(&b, "\nEffective until %s.\n", p.Until)
	}
	b.WriteString("\nWritten by `tranzit dialect describe --markdown` from the dialect's file; [dialects.md](../dialects.md) explains the words.\n")
	escape := strings.NewReplacer("|", "\\|", "<", "&lt;", "*", "\\*", "_", "\\_")
	for _, t := range p.Tables {
		fmt.Fprintf(&b, "\n## %s\n\n| %s |\n|%s\n", t.Title, strings.Join(t.Columns, " | "), strings.Repeat("---|", len(t.Columns)))
		for _, row := range t.Rows {
			cells := make([]string, len(row))
			for i, cell := range row {
				cells[i] = escape.Replace(cell)
			}
			fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
