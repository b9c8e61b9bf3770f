import com.docusign.esign.client.ApiClient;
import com.docusign.esign.client.ApiException;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.TreeSet;

/** Calls DocuSign's SDK for Java: one call a line of standard input, one answer a line of output. */
public class Bridge {
  static final ObjectMapper JSON =
      new ObjectMapper()
          .setSerializationInclusion(JsonInclude.Include.NON_NULL)
          .disable(SerializationFeature.FAIL_ON_EMPTY_BEANS)
          .configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false);

  static ApiClient client;

  public static void main(String[] args) throws Exception {
    client = new ApiClient(System.getenv("BASE"));
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = in.readLine()) != null; ) {
      ObjectNode answer;
      try {
        answer = answer((ObjectNode) JSON.readTree(line));
      } catch (InvocationTargetException wrapped) {
        answer = refused(wrapped.getCause());
      } catch (Throwable broke) {
        answer = refused(broke);
      }
      System.out.write((JSON.writeValueAsString(answer) + "\n").getBytes(StandardCharsets.UTF_8));
      System.out.flush();
    }
  }

  static ObjectNode refused(Throwable problem) {
    ObjectNode answer = JSON.createObjectNode();
    if (problem instanceof ApiException && ((ApiException) problem).getCode() > 0) {
      ApiException refusal = (ApiException) problem;
      answer.put("status", refusal.getCode());
      answer.put("body", String.valueOf(refusal.getResponseBody()));
    } else {
      answer.put("broke", String.valueOf(problem));
    }
    return answer;
  }

  static ObjectNode answer(ObjectNode request) throws Exception {
    ObjectNode answer = JSON.createObjectNode();
    if (request.has("list")) {
      TreeSet<String> names = new TreeSet<>();
      for (Method method : api(request.get("list").asText()).getMethods()) {
        if (method.getDeclaringClass() != Object.class
            && !method.getName().matches("[gs]etApiClient|.*WithHttpInfo")) {
          names.add(method.getName());
        }
      }
      answer.set("operations", JSON.valueToTree(names));
    } else if (request.has("sign_in")) {
      signIn(request.get("sign_in"), answer);
    } else {
      answer.set("value", JSON.valueToTree(call(request)));
    }
    return answer;
  }

  static void signIn(JsonNode with, ObjectNode answer) throws Exception {
    // The OAuth host after the base path: to set the base path takes it back to DocuSign's.
    client.setOAuthBasePath(with.get("host").asText());
    byte[] key = Files.readAllBytes(Paths.get(with.get("key").asText()));
    List<String> scopes = Arrays.asList("signature", "impersonation");
    JsonNode token =
        JSON.valueToTree(
            client.requestJWTUserToken(
                with.get("client").asText(), with.get("user").asText(), scopes, key, 3600));
    String text = token.get("access_token").asText();
    client.setAccessToken(text, 3600L);
    answer.put("token", text);
    answer.set("userinfo", JSON.valueToTree(client.getUserInfo(text)));
  }

  static Class<?> api(String name) throws Exception {
    return Class.forName("com.docusign.esign.api." + name);
  }

  static Object call(JsonNode request) throws Exception {
    Object target =
        api(request.get("api").asText()).getConstructor(ApiClient.class).newInstance(client);
    String operation = request.get("operation").asText();
    List<Object> given = new ArrayList<>();
    request.get("path").forEach(part -> given.add(part.asText()));
    JsonNode body = request.get("body");
    if (body != null && !body.isNull()) {
      Class<?> model = Class.forName("com.docusign.esign.model." + body.get("model").asText());
      given.add(JSON.treeToValue(body.get("value"), model));
    }
    JsonNode query = request.get("query");
    for (Method method : target.getClass().getMethods()) {
      Class<?>[] types = method.getParameterTypes();
      boolean options = query != null && query.size() > 0;
      if (!method.getName().equals(operation)
          || types.length != given.size() + (options ? 1 : 0)) {
        continue;
      }
      List<Object> all = new ArrayList<>(given);
      if (options) {
        Class<?> last = types[types.length - 1];
        if (!last.getSimpleName().endsWith("Options")) {
          continue;
        }
        Object chosen = last.getDeclaredConstructors()[0].getParameterCount() == 0
            ? last.getConstructor().newInstance()
            : last.getDeclaredConstructors()[0].newInstance(target);
        for (Iterator<String> names = query.fieldNames(); names.hasNext(); ) {
          String name = names.next();
          StringBuilder setter = new StringBuilder("set");
          for (String word : name.split("_")) {
            setter.append(Character.toUpperCase(word.charAt(0))).append(word.substring(1));
          }
          last.getMethod(setter.toString(), String.class)
              .invoke(chosen, query.get(name).asText());
        }
        all.add(chosen);
      }
      return method.invoke(target, all.toArray());
    }
    throw new NoSuchMethodException(operation + " with " + given.size() + " arguments");
  }
}
