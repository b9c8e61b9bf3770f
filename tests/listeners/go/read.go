// A listener in Go: structs for encoding/xml and encoding/json, which refuse what has not their type.
package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"time"
)

const times = "2006-01-02T15:04:05.9999999"

type moment struct{ time.Time }

func (m *moment) UnmarshalText(text []byte) (err error) {
	m.Time, err = time.Parse(times, string(text))
	return err
}

type nillable struct {
	Nil  bool   `xml:"http://www.w3.org/2001/XMLSchema-instance nil,attr"`
	Text string `xml:",chardata"`
}

type tab struct {
	TabType, Status, TabLabel, TabName string
	TabValue                           *string
	CustomTabType                      string
}

type recipient struct {
	Type, Email, UserName string
	RoutingOrder          int
	Sent, Delivered       *moment
	Signed                *moment
	DeclineReason         *nillable
	Status                string
	RecipientIPAddress    *string
	Tabs                  []tab `xml:"TabStatuses>TabStatus"`
	Form                  []struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value"`
	} `xml:"FormData>xfdf>fields>field"`
	RecipientId string
}

type information struct {
	XMLName xml.Name `xml:"http://www.docusign.net/API/3.0 DocuSignEnvelopeInformation"`
	Status  struct {
		Recipients        []recipient `xml:"RecipientStatuses>RecipientStatus"`
		TimeGenerated     string
		EnvelopeID        string
		Subject, Status   string
		Created           moment
		AuthoritativeCopy bool
		Fields            []struct{ Name, Value string } `xml:"CustomFields>CustomField"`
		Documents         []struct {
			ID, Sequence int
			Name         string
		} `xml:"DocumentStatuses>DocumentStatus"`
	} `xml:"EnvelopeStatus"`
	TimeZone       string
	TimeZoneOffset int
}

type soap struct {
	XMLName xml.Name    `xml:"http://schemas.xmlsoap.org/soap/envelope/ Envelope"`
	Inner   information `xml:"Body>DocuSignConnectUpdate>DocuSignEnvelopeInformation"`
}

type sim struct {
	Event             string         `json:"event"`
	Uri               string         `json:"uri"`
	RetryCount        int            `json:"retryCount"`
	ConfigurationId   int            `json:"configurationId"`
	ApiVersion        string         `json:"apiVersion"`
	GeneratedDateTime time.Time      `json:"generatedDateTime"`
	Data              struct {
		AccountId  string         `json:"accountId"`
		UserId     string         `json:"userId"`
		EnvelopeId string         `json:"envelopeId"`
		Summary    map[string]any `json:"envelopeSummary"`
	} `json:"data"`
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func facts(i information) map[string]any {
	_, err := time.Parse(times, i.Status.TimeGenerated)
	must(err)
	recipients := []any{}
	for _, one := range i.Status.Recipients {
		tabs := [][]string{}
		for _, t := range one.Tabs {
			tabs = append(tabs, []string{t.TabType, t.CustomTabType, t.Status, *t.TabValue})
		}
		form := map[string]string{}
		for _, field := range one.Form {
			form[field.Name] = field.Value
		}
		var declined any
		if !one.DeclineReason.Nil {
			declined = one.DeclineReason.Text
		}
		recipients = append(recipients, map[string]any{
			"name": one.UserName, "status": one.Status, "routingOrder": one.RoutingOrder,
			"declined": declined, "address": *one.RecipientIPAddress, "tabs": tabs, "form": form})
	}
	fields, documents := map[string]string{}, []string{}
	for _, one := range i.Status.Fields {
		fields[one.Name] = one.Value
	}
	for _, one := range i.Status.Documents {
		documents = append(documents, one.Name)
	}
	return map[string]any{
		"envelopeId": i.Status.EnvelopeID, "status": i.Status.Status, "subject": i.Status.Subject,
		"timeGenerated": i.Status.TimeGenerated, "authoritative": i.Status.AuthoritativeCopy,
		"recipients": recipients, "fields": fields, "documents": documents,
		"zone": i.TimeZone, "offset": i.TimeZoneOffset}
}

func read(kind string, text []byte) any {
	switch kind {
	case "sim":
		var m sim
		must(json.Unmarshal(text, &m))
		return map[string]any{
			"event": m.Event, "retryCount": m.RetryCount, "configurationId": m.ConfigurationId,
			"uri": m.Uri, "apiVersion": m.ApiVersion,
			"generatedDateTime": m.GeneratedDateTime.Format("2006-01-02T15:04:05.0000000Z"),
			"accountId":         m.Data.AccountId, "envelopeId": m.Data.EnvelopeId,
			"status": m.Data.Summary["status"]}
	case "aggregate":
		var m struct{ EnvelopeId, Status, EmailSubject string }
		must(json.Unmarshal(text, &m))
		return map[string]any{"envelopeId": m.EnvelopeId, "status": m.Status, "subject": m.EmailSubject}
	case "xml":
		var m information
		must(xml.Unmarshal(text, &m))
		return facts(m)
	default:
		var m soap
		must(xml.Unmarshal(text, &m))
		return facts(m.Inner)
	}
}

func main() {
	text, err := io.ReadAll(os.Stdin)
	must(err)
	must(json.NewEncoder(os.Stdout).Encode(read(os.Args[1], text)))
}
