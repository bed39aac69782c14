package assist

import (
	"crypto/md5" // the check value is what Assist's shops send: nothing else stands on it
	"crypto/subtle"
	"encoding/hex"
	"strings"
)

// checkValue is Assist's: upper(md5(upper(md5(secret word) + md5(what it covers)))).
func checkValue(word, covered string) string {
	inner, outer := md5.Sum([]byte(covered)), md5.Sum([]byte(word))
	both := strings.ToUpper(hex.EncodeToString(outer[:]) + hex.EncodeToString(inner[:]))
	sum := md5.Sum([]byte(both))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// checked holds the check value of a request to the shop's secret word. From a
// browser it must be there when the shop has a word; elsewhere the password
// proves the shop, and a check value is looked at when there is one.
func (k *Ask) checked() *refusal {
	word := k.shop.SecretWord
	got, there := k.params.get("checkvalue")
	switch {
	case word == "" || !there && (k.service.is&paying == 0 || k.Account.Key != nil):
		return nil
	case !there:
		return missing("checkvalue")
	}
	var covered []string
	for _, name := range []string{"merchant_id", "ordernumber", "orderamount", "ordercurrency"} {
		if value, there := k.params.get(name); there {
			covered = append(covered, string(value))
		}
	}
	want := checkValue(word, strings.Join(covered, k.shop.Delimiter))
	if subtle.ConstantTimeCompare(got, []byte(want)) != 1 {
		return &refusal{first: 9, detail: "Checkvalue does not fit the parameters."}
	}
	return nil
}
