import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Whether a message is DocuSign's: VerifyHmac SECRET SIGNATURE < body, as its guide has it. */
public class VerifyHmac {
  public static void main(String[] args) throws Exception {
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(args[0].getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
    byte[] made = mac.doFinal(System.in.readAllBytes());
    byte[] given = Base64.getDecoder().decode(args[1]);
    System.out.println(MessageDigest.isEqual(made, given) ? "True" : "False");
  }
}
