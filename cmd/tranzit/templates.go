package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/frontend/admin"
	"github.com/tranzit/tranzit/frontend/design"
)

// templateFlags are what every command about a merchant's page templates is told.
type templateFlags struct {
	address, merchant string
	asJSON            bool
	act               admin.PageAct
}

func (f *templateFlags) add(c *cobra.Command, acts bool) {
	addAdminFlags(c, &f.address, &f.asJSON)
	c.Flags().StringVar(&f.merchant, "merchant", "", "the merchant's id (required)")
	required := []string{"merchant"}
	if acts {
		c.Flags().StringVar(&f.act.Reason, "reason", "", "why; written with the act (required)")
		c.Flags().StringVar(&f.act.Operator, "operator", loginName(), "who does it")
		c.Flags().StringVar(&f.act.Mode, "mode", "test", "test or live")
		required = append(required, "reason")
	}
	requireFlags(c, required...)
}

func (f *templateFlags) path(rest string) string {
	return "/admin/v1/merchants/" + url.PathEscape(f.merchant) + "/page_templates" + rest
}

func templateCommand() *cobra.Command {
	c := &cobra.Command{Use: "page", Short: "Lint, upload and publish a merchant's own design of the payment page"}
	c.AddCommand(templateLintCommand(), templateListCommand(), templateShowCommand(), templateUploadCommand(),
		templateActCommand("publish VERSION", "Show a version to the buyers of a mode; 0 is the standard page", "/publish"),
		templateActCommand("rollback", "Show the buyers of a mode what they saw before", "/rollback"))
	return c
}

// readTemplate reads a folder or a zip archive.
func readTemplate(path string) (design.Files, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		if info.Size() > 2*design.MaxBundle {
			return nil, fmt.Errorf("%s has %d bytes, more than any template", path, info.Size())
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		return design.ReadZip(body)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	files := design.Files{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if e.IsDir() || len(files) == design.MaxFiles {
			return nil, fmt.Errorf("%s: a template is one folder of at most %d files", filepath.Join(path, e.Name()), design.MaxFiles)
		}
		f, err := os.Open(filepath.Join(path, e.Name()))
		if err != nil {
			return nil, err
		}
		files[e.Name()], err = io.ReadAll(io.LimitReader(f, design.MaxFile+1))
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func templateLintCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "lint DIR|ZIP", Short: "Find every mistake of a template, without a server", Args: args(cobra.ExactArgs(1)),
		Long: "Find every mistake of a template, a folder or a zip archive, as an upload would.\nNo server is asked. The exit code is 1 when there are mistakes.",
		RunE: func(cmd *cobra.Command, given []string) error {
			files, err := readTemplate(given[0])
			if err != nil {
				return err
			}
			d, findings := design.Read(files)
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), map[string]any{"valid": d != nil, "findings": append([]design.Finding{}, findings...)}); err != nil {
					return err
				}
			}
			if d == nil {
				return templateMistakes(cmd, findings, asJSON)
			}
			if !asJSON {
				fmt.Fprintf(cmd.OutOrStdout(), "no mistakes; it adds %d of at most %d bytes to the page\n", d.Served, design.MaxServed)
				for _, host := range d.Hosts {
					fmt.Fprintf(cmd.OutOrStdout(), "links to %s\n", host)
				}
			}
			return nil
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// templateMistakes prints what was found and is the error of it.
func templateMistakes(cmd *cobra.Command, findings []design.Finding, asJSON bool) error {
	if !asJSON {
		for _, f := range findings {
			fmt.Fprintln(cmd.OutOrStdout(), f)
		}
	}
	return fmt.Errorf("the template has mistakes: %d", len(findings))
}

func templateListCommand() *cobra.Command {
	var f templateFlags
	c := &cobra.Command{Use: "list --merchant ID", Short: "List the versions of a merchant's template and what each mode shows", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var v admin.PageView
			if err := getAdmin(f.address, f.path(""), &v); err != nil {
				return err
			}
			return printTemplates(cmd.OutOrStdout(), &v, f.asJSON)
		}}
	f.add(c, false)
	return c
}

func printTemplates(out io.Writer, v *admin.PageView, asJSON bool) error {
	if asJSON {
		return printJSON(out, v)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "version\tshown in\tuploaded\tby\tnote")
	shown := func(number uint32) string {
		var words []string
		if v.Test == number {
			words = append(words, "test")
		}
		if v.Live == number {
			words = append(words, "live")
		}
		return strings.Join(words, ", ")
	}
	for _, one := range v.Versions {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", one.Number, shown(one.Number), one.CreatedAt.Format(time.RFC3339), one.CreatedBy, one.Note)
	}
	fmt.Fprintf(w, "standard\t%s\t\t\t\n", shown(0))
	return w.Flush()
}

func templateShowCommand() *cobra.Command {
	var f templateFlags
	var dir string
	c := &cobra.Command{Use: "show VERSION --merchant ID", Short: "Show a version with the address of its preview; --out saves its files", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			var v admin.PageView
			if err := getAdmin(f.address, f.path("?version="+url.QueryEscape(given[0])), &v); err != nil {
				return err
			}
			i := slices.IndexFunc(v.Versions, func(one admin.PageVersionView) bool { return one.Name() == given[0] })
			if i < 0 {
				return fmt.Errorf("there is no version %s", given[0])
			}
			one := v.Versions[i]
			if dir != "" {
				if err := saveTemplate(dir, v.Files); err != nil {
					return err
				}
			}
			if f.asJSON {
				return printJSON(cmd.OutOrStdout(), one)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "version %d  %s  %s  %s\n%s\n%d files, %d bytes\npreview: %s\n", one.Number, one.CreatedAt.Format(time.RFC3339), one.CreatedBy,
				one.Note, one.Digest, len(v.Files), one.Bytes, one.PreviewURL)
			return nil
		}}
	f.add(c, false)
	c.Flags().StringVar(&dir, "out", "", "save the files into this new folder")
	return c
}

// saveTemplate writes the files into a folder that was not there.
func saveTemplate(dir string, files design.Files) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for name, body := range files {
		if name != filepath.Base(name) {
			return fmt.Errorf("%q is not the name of a file", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), body, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func templateUploadCommand() *cobra.Command {
	var f templateFlags
	c := &cobra.Command{Use: "upload DIR|ZIP --merchant ID", Short: "Lint a template and keep it as a new version, which nobody sees before it is published", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			var err error
			if f.act.Files, err = readTemplate(given[0]); err != nil {
				return err
			}
			var v admin.PageView
			if err := callAdmin(f.address, adminCall{method: http.MethodPost, path: f.path(""), body: f.act}, &v); err != nil {
				return err
			}
			if len(v.Findings) > 0 {
				return templateMistakes(cmd, v.Findings, false)
			}
			return printTemplates(cmd.OutOrStdout(), &v, f.asJSON)
		}}
	f.add(c, true)
	c.Flags().StringVar(&f.act.Note, "note", "", "what is new in it")
	return c
}

func templateActCommand(use, short, path string) *cobra.Command {
	var f templateFlags
	c := &cobra.Command{Use: use + " --merchant ID", Short: short, Args: args(cobra.ExactArgs(strings.Count(use, " "))),
		RunE: func(cmd *cobra.Command, given []string) error {
			if len(given) > 0 {
				n, err := strconv.ParseUint(given[0], 10, 32)
				if err != nil {
					return usageError{fmt.Errorf("%q is not the number of a version", given[0])}
				}
				f.act.Version = uint32(n)
			}
			var v admin.PageView
			if err := callAdmin(f.address, adminCall{method: http.MethodPost, path: f.path(path), body: f.act}, &v); err != nil {
				return err
			}
			return printTemplates(cmd.OutOrStdout(), &v, f.asJSON)
		}}
	f.add(c, true)
	return c
}
