package iso

// standardNames are the names ISO 8583:1987 gives the data elements; those above 128
// it does not have.
var standardNames = buildNames()

func buildNames() [maxDialectField + 1]string {
	all := names1987
	for f := 129; f <= maxDialectField; f++ {
		all[f] = "Reserved"
	}
	return all
}

var names1987 = [maxDialectField + 1]string{
	2: "Primary account number", 3: "Processing code", 4: "Amount, transaction", 5: "Amount, settlement",
	6: "Amount, cardholder billing", 7: "Transmission date and time", 8: "Amount, cardholder billing fee",
	9: "Conversion rate, settlement", 10: "Conversion rate, cardholder billing", 11: "System trace audit number",
	12: "Time, local transaction", 13: "Date, local transaction", 14: "Date, expiration", 15: "Date, settlement",
	16: "Date, conversion", 17: "Date, capture", 18: "Merchant type", 19: "Acquiring institution country code",
	20: "PAN extended, country code", 21: "Forwarding institution country code", 22: "Point of service entry mode",
	23: "Card sequence number", 24: "Network international identifier", 25: "Point of service condition code",
	26: "Point of service PIN capture code", 27: "Authorizing identification response length",
	28: "Amount, transaction fee", 29: "Amount, settlement fee", 30: "Amount, transaction processing fee",
	31: "Amount, settlement processing fee", 32: "Acquiring institution identification code",
	33: "Forwarding institution identification code", 34: "Primary account number, extended", 35: "Track 2 data",
	36: "Track 3 data", 37: "Retrieval reference number", 38: "Authorization identification response",
	39: "Response code", 40: "Service restriction code", 41: "Card acceptor terminal identification",
	42: "Card acceptor identification code", 43: "Card acceptor name/location", 44: "Additional response data",
	45: "Track 1 data", 46: "Additional data, ISO", 47: "Additional data, national", 48: "Additional data, private",
	49: "Currency code, transaction", 50: "Currency code, settlement", 51: "Currency code, cardholder billing",
	52: "Personal identification number data", 53: "Security related control information", 54: "Additional amounts",
	55: "Reserved, ISO", 56: "Reserved, ISO", 57: "Reserved, national", 58: "Reserved, national",
	59: "Reserved, national", 60: "Reserved, private", 61: "Reserved, private", 62: "Reserved, private",
	63: "Reserved, private", 64: "Message authentication code", 66: "Settlement code", 67: "Extended payment code",
	68: "Receiving institution country code", 69: "Settlement institution country code",
	70: "Network management information code", 71: "Message number", 72: "Message number, last", 73: "Date, action",
	74: "Credits, number", 75: "Credits, reversal number", 76: "Debits, number", 77: "Debits, reversal number",
	78: "Transfer, number", 79: "Transfer, reversal number", 80: "Inquiries, number", 81: "Authorizations, number",
	82: "Credits, processing fee amount", 83: "Credits, transaction fee amount", 84: "Debits, processing fee amount",
	85: "Debits, transaction fee amount", 86: "Credits, amount", 87: "Credits, reversal amount",
	88: "Debits, amount", 89: "Debits, reversal amount", 90: "Original data elements", 91: "File update code",
	92: "File security code", 93: "Response indicator", 94: "Service indicator", 95: "Replacement amounts",
	96: "Message security code", 97: "Amount, net settlement", 98: "Payee", 99: "Settlement institution identification code",
	100: "Receiving institution identification code", 101: "File name", 102: "Account identification 1",
	103: "Account identification 2", 104: "Transaction description",
	105: "Reserved, ISO", 106: "Reserved, ISO", 107: "Reserved, ISO", 108: "Reserved, ISO", 109: "Reserved, ISO",
	110: "Reserved, ISO", 111: "Reserved, ISO", 112: "Reserved, national", 113: "Reserved, national",
	114: "Reserved, national", 115: "Reserved, national", 116: "Reserved, national", 117: "Reserved, national",
	118: "Reserved, national", 119: "Reserved, national", 120: "Reserved, private", 121: "Reserved, private",
	122: "Reserved, private", 123: "Reserved, private", 124: "Reserved, private", 125: "Reserved, private",
	126: "Reserved, private", 127: "Reserved, private", 128: "Message authentication code",
}
