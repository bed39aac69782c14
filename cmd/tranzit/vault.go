package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	payswitch "github.com/tranzit/tranzit/switch"
)

func vaultCommand() *cobra.Command {
	c := &cobra.Command{Use: "vault", Short: "See and rotate the keys that seal card numbers"}
	c.AddCommand(vaultStatusCommand(),
		actCommand(actSpec{use: "add-key", short: "Take a new key of the key file into use: one added by hand, else a new one written there",
			path: "/admin/v1/vault/add-key", whole: true}),
		actCommand(actSpec{use: "rotate", short: "Seal with a new data key from now on, and saved cards anew in the background", path: "/admin/v1/vault/rotate", whole: true}),
		actCommand(actSpec{use: "retire ID", short: "End an old key of the key file", path: "/admin/v1/vault/keys/%s/retire", check: true}),
		vaultCheckCommand())
	return c
}

func vaultStatusCommand() *cobra.Command {
	var address string
	var asJSON bool
	c := &cobra.Command{Use: "status", Short: "Show the keys of a running switch and how far saved cards are sealed anew", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got payswitch.VaultStatus
			if err := getAdmin(address, "/admin/v1/vault", &got); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), got)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "file key\tcheck\tstate\topens data keys")
			for _, k := range got.File {
				state := "old"
				switch {
				case k.Retired:
					state = "retired: remove its line"
				case k.Present:
					state = "present"
				}
				fmt.Fprintf(w, "%d\t%s\t%s\t%d\n", k.ID, k.Check, state, k.Opens)
			}
			fmt.Fprintln(w, "\ndata key\tstate\tmade\tby\tunder file keys")
			for _, k := range got.Data {
				state := "opens"
				if k.Present {
					state = "seals"
				}
				fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%v\n", k.ID, state, orDash(k.CreatedAt), k.CreatedBy, k.Under)
			}
			if err := w.Flush(); err != nil {
				return err
			}
			word := "under way"
			if got.Sweep.Done {
				word = "done"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "\nsaved cards sealed anew with data key %d: %s, %d seen, %d sealed anew, %d could not be opened\n",
				got.Sweep.Key, word, got.Sweep.Seen, got.Sweep.Resealed, got.Sweep.Lost)
			return nil
		}}
	addAdminFlags(c, &address, &asJSON)
	return c
}

func vaultCheckCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "check FILE", Short: "Print the check values of a key file, to prove that a copy is whole", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			ring, err := payswitch.LoadKeyRing(given[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), ring.Checks())
			}
			for _, k := range ring.Checks() {
				fmt.Fprintf(cmd.OutOrStdout(), "seal %d  %s\n", k.ID, k.Value)
			}
			return nil
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
