import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.xml.XmlMapper;
import com.fasterxml.jackson.dataformat.xml.annotation.JacksonXmlElementWrapper;
import com.fasterxml.jackson.dataformat.xml.annotation.JacksonXmlProperty;
import com.fasterxml.jackson.dataformat.xml.annotation.JacksonXmlText;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A listener in Java: Jackson, which refuses every field and element that its classes do not have. */
public class Read {
  public static class Tab {
    public String TabType, Status, TabLabel, TabName, TabValue, OriginalValue, ValidationPattern;
    public String ListSelectedValue, CustomTabType;
    public Integer XPosition, YPosition, DocumentID, PageNumber;
  }

  public static class Field {
    @JacksonXmlProperty(isAttribute = true) public String name;
    public String value;
  }

  public static class Fields {
    @JacksonXmlElementWrapper(useWrapping = false) public List<Field> field = new ArrayList<>();
  }

  public static class Xfdf { public Fields fields; }

  public static class FormData { public Xfdf xfdf; }

  public static class Recipient {
    public String Type, Email, UserName, Status, RecipientIPAddress, ClientUserId, AccountStatus, RecipientId;
    public int RoutingOrder;
    public String Sent, Delivered, Signed, Declined;
    public String DeclineReason;
    public List<String> CustomFields = new ArrayList<>();
    public List<Tab> TabStatuses = new ArrayList<>();
    public FormData FormData;
  }

  public static class CustomField { public String Name, Value, CustomFieldType; public boolean Show, Required; }

  public static class DocumentStatus { public int ID, Sequence; public String Name, TemplateName; }

  public static class Envelope {
    public List<Recipient> RecipientStatuses = new ArrayList<>();
    public String TimeGenerated, EnvelopeID, Subject, UserName, Email, Status;
    public String Created, Deleted, Sent, Delivered, Signed, Completed, Declined, Voided, VoidReason;
    public String ACStatus, ACStatusDate, ACHolder, ACHolderEmail, ACHolderLocation;
    public String SigningLocation, SenderIPAddress, EnvelopePDFHash;
    public List<CustomField> CustomFields = new ArrayList<>();
    public boolean AutoNavigation, EnvelopeIdStamping, AuthoritativeCopy;
    public List<DocumentStatus> DocumentStatuses = new ArrayList<>();
  }

  public static class DocumentPDF { public String Name, DocumentType; public byte[] PDFBytes; public Integer DocumentID; }

  public static class Information {
    public Envelope EnvelopeStatus;
    public List<DocumentPDF> DocumentPDFs = new ArrayList<>();
    public String TimeZone;
    public int TimeZoneOffset;
  }

  public static class Update { public Information DocuSignEnvelopeInformation; }

  public static class Body { public Update DocuSignConnectUpdate; }

  public static class Soap { public Body Body; }

  public static class Data {
    public String accountId, userId, envelopeId;
    public JsonNode envelopeSummary;
  }

  public static class Sim {
    public String event, uri, apiVersion, generatedDateTime;
    public int retryCount, configurationId;
    public Data data;
  }

  static Map<String, Object> facts(Information information) {
    Envelope status = information.EnvelopeStatus;
    LocalDateTime.parse(status.TimeGenerated);
    LocalDateTime.parse(status.Created);
    List<Object> recipients = new ArrayList<>();
    for (Recipient one : status.RecipientStatuses) {
      List<Object> tabs = new ArrayList<>();
      for (Tab tab : one.TabStatuses)
        tabs.add(List.of(tab.TabType, tab.CustomTabType == null ? "" : tab.CustomTabType, tab.Status, tab.TabValue));
      Map<String, String> form = new LinkedHashMap<>();
      if (one.FormData != null) for (Field field : one.FormData.xfdf.fields.field) form.put(field.name, field.value);
      Map<String, Object> shown = new LinkedHashMap<>();
      shown.put("name", one.UserName);
      shown.put("status", one.Status);
      shown.put("routingOrder", one.RoutingOrder);
      shown.put("declined", one.DeclineReason);
      shown.put("address", one.RecipientIPAddress);
      shown.put("tabs", tabs);
      shown.put("form", form);
      recipients.add(shown);
    }
    Map<String, String> fields = new LinkedHashMap<>();
    for (CustomField one : status.CustomFields) fields.put(one.Name, one.Value);
    List<String> documents = new ArrayList<>();
    for (DocumentStatus one : status.DocumentStatuses) documents.add(one.Name);
    Map<String, Object> shown = new LinkedHashMap<>();
    shown.put("envelopeId", status.EnvelopeID);
    shown.put("status", status.Status);
    shown.put("subject", status.Subject);
    shown.put("timeGenerated", status.TimeGenerated);
    shown.put("authoritative", status.AuthoritativeCopy);
    shown.put("recipients", recipients);
    shown.put("fields", fields);
    shown.put("documents", documents);
    shown.put("zone", information.TimeZone);
    shown.put("offset", information.TimeZoneOffset);
    return shown;
  }

  public static void main(String[] arguments) throws Exception {
    byte[] text = System.in.readAllBytes();
    ObjectMapper json = new ObjectMapper().enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);
    XmlMapper xml = XmlMapper.builder().enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
        .defaultUseWrapper(true).build();
    // Names of elements are those of the classes, capitals and all.
    xml.setVisibility(com.fasterxml.jackson.annotation.PropertyAccessor.FIELD,
        com.fasterxml.jackson.annotation.JsonAutoDetect.Visibility.ANY);
    Map<String, Object> shown = new LinkedHashMap<>();
    switch (arguments[0]) {
      case "sim" -> {
        Sim message = json.readValue(text, Sim.class);
        OffsetDateTime.parse(message.generatedDateTime);
        shown.put("event", message.event);
        shown.put("retryCount", message.retryCount);
        shown.put("configurationId", message.configurationId);
        shown.put("uri", message.uri);
        shown.put("apiVersion", message.apiVersion);
        shown.put("generatedDateTime", message.generatedDateTime);
        shown.put("accountId", message.data.accountId);
        shown.put("envelopeId", message.data.envelopeId);
        shown.put("status", message.data.envelopeSummary.get("status").asText());
      }
      case "aggregate" -> {
        JsonNode message = json.readTree(text);
        shown.put("envelopeId", message.get("envelopeId").asText());
        shown.put("status", message.get("status").asText());
        shown.put("subject", message.get("emailSubject").asText());
      }
      case "xml" -> shown = facts(xml.readValue(text, Information.class));
      default -> shown = facts(xml.readValue(text, Soap.class).Body.DocuSignConnectUpdate.DocuSignEnvelopeInformation);
    }
    System.out.println(json.writeValueAsString(shown));
  }
}
