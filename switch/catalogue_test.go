package payswitch

import "github.com/tranzit/tranzit/iso"

// holdTo is a profile of those keys and of nothing else.
func (r *rig) holdTo(bank, keys string) *iso.Profile {
	r.t.Helper()
	p, err := iso.ParseProfile(bank+".yaml", []byte("meta: {schema: 1, id: "+bank+", version: 1}\nname: {ru: Б, en: B, es: B}\nabout: {ru: Б, en: B, es: B}\n"+keys+"\n"))
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}
