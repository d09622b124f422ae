## All pages

skip-to-content = Till innehållet
language = Språk
details = Detaljer
request-id = Ärendenummer
go-to-sign-in = Till inloggningen
go-to-account = Till ditt konto
show-password = Visa lösenord
required-field = Fältet måste fyllas i.

## Sign in

sign-in-title = Logga in
sign-in-to = Logga in på { $name }
sign-in-username = Användarnamn
sign-in-password = Lösenord
sign-in-keep = Håll mig inloggad
sign-in-keep-hint = I 30 dagar, bara på den här enheten. Inte på en delad dator.
sign-in-submit = Logga in
sign-in-forgot-password = Glömt lösenordet?
sign-in-forgot-username = Glömt användarnamnet?
sign-in-failed = Fel användarnamn eller lösenord. Kontrollera båda och försök igen. Lösenordet skiljer på stora och små bokstäver.
sign-in-too-many =
    { $minutes ->
        [one] För många misslyckade försök från ditt nätverk. Försök igen om { $minutes } minut.
       *[other] För många misslyckade försök från ditt nätverk. Försök igen om { $minutes } minuter.
    }

## Sign out

sign-out-title = Logga ut
sign-out-question = Vill du logga ut, { $name }?
sign-out-asked-by = { $name } ber dig att logga ut.
sign-out-explanation = Du loggas också ut från de program som du har öppnat med den här inloggningen.
sign-out-submit = Logga ut
sign-out-stay = Fortsätt vara inloggad
signed-out-title = Du är utloggad
signed-out-explanation = Du kan stänga fönstret eller logga in igen.

## Choose an account

choose-account-title = Välj ett konto
choose-account-to-continue = för att fortsätta till { $name }
choose-account-submit = Fortsätt som { $name }
choose-account-other = Logga in som någon annan
choose-account-other-hint = Då loggas du ut från kontot ovan.

## Back to the application, by a form

client-form-title = Tillbaka till programmet
client-form-to = Tillbaka till { $name }
client-form-explanation = Din webbläsare skickar svaret till programmet. Om inget händer, tryck på knappen.
client-form-submit = Fortsätt

## Set a password

set-password-title = Ange ett nytt lösenord
set-password-explanation = Du loggade in med ett tillfälligt eller utgånget lösenord. Välj ett eget lösenord för att fortsätta.
set-password-new = Nytt lösenord
set-password-submit = Ange lösenord och fortsätt
set-password-rules = Ditt lösenord:
set-password-met = uppfyllt
set-password-unmet = ännu inte uppfyllt
set-password-problem = Det här lösenordet kan inte användas. De här reglerna är ännu inte uppfyllda: ditt lösenord …
rule-length = har 12 till 40 tecken
rule-characters = består av bokstäver utan accenter, siffror och specialtecken, utan mellanslag eller kolon
rule-ends = börjar och slutar med en bokstav eller siffra
rule-upper-case = har en stor bokstav
rule-lower-case = har en liten bokstav
rule-digit = har en siffra
rule-special = har ett specialtecken, till exempel - _ . ! eller #
rule-names = innehåller inte ditt användarnamn, ditt namn eller din e-postadress
rule-common = är inte ett vanligt lösenord
rule-used-before = är inte ett av dina senaste 12 lösenord, och inte det tillfälliga
rule-length-nist = har 15 till 128 tecken, på valfritt språk; mellanslag går bra
rule-characters-nist = innehåller inga styrtecken, till exempel tabb
rule-names-nist = är inte ditt användarnamn eller din e-postadress

## Account

account-title = Ditt konto
account-sign-out = Logga ut
account-profile = Profil
account-password = Lösenord
account-sessions = Sessioner
account-applications = Anslutna program
account-language = Språk
account-save = Spara
account-saved = Dina ändringar har sparats.

## Fields of the profile

field-username = Användarnamn
field-first-name = Förnamn
field-last-name = Efternamn
field-display-name = Visningsnamn
field-display-name-hint = Visas i stället för ditt för- och efternamn. Lämna tomt för att använda dem.
field-title = Titel
field-phone-number = Telefonnummer
field-email = E-postadress
field-email-hint = Ett meddelande om ändringen går till den tidigare adressen.
field-username-hint = Du loggar in med det.
field-optional = valfritt

## What is wrong with a field

problem-fix = Inget har sparats än. Kontrollera det som är markerat nedan.
problem-empty = Fältet får inte vara tomt.
problem-too-long = Texten är för lång.
problem-control-character = Texten innehåller ett tecken som inte kan användas här.
problem-invisible = Texten består bara av osynliga tecken. Skriv ett namn som syns.
problem-username = Använd bara bokstäver, siffror och . - _ + @, utan mellanslag.
problem-username-taken = Någon annan har det här användarnamnet. Välj ett annat.
problem-email = Det här är ingen giltig e-postadress.
problem-changed-meanwhile = Detta har under tiden ändrats på annat håll, till ”{ $current }”. Spara igen för att ersätta det med det du skrev.
problem-changed-meanwhile-empty = Detta har under tiden tömts på annat håll. Spara igen för att ersätta det med det du skrev.
problem-other = Värdet kan inte användas.

## The e-mail address in the profile

email-verified = Adressen är bekräftad.
email-unverified = Adressen är inte bekräftad än.
email-verify = Skicka en bekräftelselänk
email-link-sent = Vi har skickat en länk till { $address }. Öppna den inom 24 timmar. Om inget kommer fram, titta i skräpposten.
email-link-too-many =
    { $minutes ->
        [one] En länk skickades alldeles nyss. Om den inte kommer fram kan du begära en ny om { $minutes } minut.
       *[other] Du har begärt flera länkar. Om ingen kommer fram kan du begära en ny om { $minutes } minuter.
    }
email-hold = Du har ändrat din e-postadress. För att skydda dig, om det var någon annan som gjorde det, skickas mejl med lösenord till din tidigare adress, { $address }, fram till { $until }.

## The status in the profile

status-label = Kontostatus
status-active = Aktivt
status-inactive = Inaktivt
status-locked = Låst
status-hint = Om du väljer en annan status än aktivt loggas du genast ut överallt och från alla program. Sedan kan bara en administratör göra ditt konto aktivt igen.
status-change = Ändra status
status-last-admin = Du är den sista aktiva administratören i din organisation. Gör först någon annan till administratör. Inget har ändrats.

## Password in the account

password-current = Nuvarande lösenord
password-change = Byt lösenord
password-wrong = Det här är inte ditt nuvarande lösenord.
password-ends-others = När du byter lösenord loggas du ut överallt annars.
password-changed = Ditt lösenord är bytt. Du är utloggad överallt annars.

## Second factors

account-security = Säkerhet
second-factor-title = Bekräfta att det är du
second-factor-app = Ange koden som din autentiseringsapp visar.
second-factor-recovery-code = Har du den inte med dig anger du en av dina återställningskoder.
second-factor-code = Kod
second-factor-remember = Fråga inte igen på den här enheten
second-factor-remember-hint = I { $days } dagar. Inte på en delad dator.
second-factor-submit = Fortsätt
second-factor-failed = Koden är fel eller redan använd. Vänta på nästa kod och försök igen.
second-factor-passkey = Använd en passkey
second-factor-passkey-cancelled = Din passkey användes inte. Försök igen.
second-factor-passkey-failed = Den här passkeyn bekräftar inte att det är du. Försök igen eller använd en annan faktor.
second-factor-passkey-unsupported = Din passkey kan inte användas i den här webbläsaren. Det kräver att skript är på och din enhet eller säkerhetsnyckel.
second-factor-lost = Har du inga koder kvar? Be din administratör att ta bort din andra faktor.
second-factor-required = Din organisation kräver en andra faktor. Lägg till en för att fortsätta.
authenticator-title = Lägg till en autentiseringsapp
authenticator-intro = En autentiseringsapp i telefonen visar en ny kod var 30:e sekund. Du uppmanas att ange den när du loggar in.
authenticator-begin = Ställ in appen
authenticator-scan = Skanna bilden med din autentiseringsapp.
authenticator-qr = QR-kod för autentiseringsappen
authenticator-key = Eller skriv in den här nyckeln:
authenticator-open = Öppna appen på den här enheten
authenticator-code = Koden som appen visar nu
authenticator-confirm = Lägg till appen
authenticator-wrong-code = Det är inte koden som appen visar nu. Kontrollera telefonens klocka och ange nästa kod.
authenticator-no-master-key = Autentiseringsappar kan inte läggas till på den här servern, eftersom den saknar huvudnyckel för att försegla deras hemligheter. Kontakta din administratör.
recovery-codes-title = Dina återställningskoder
recovery-codes-intro = Om du tappar bort telefonen loggar du in med en av koderna. Varje kod kan användas en gång. Skriv ut dem eller spara dem i en lösenordshanterare.
recovery-codes-once = De visas bara nu.
recovery-codes-copy = Kopiera koderna
recovery-codes-copied = Kopierat
recovery-codes-print = Skriv ut koderna
recovery-codes-continue = Jag har sparat koderna: fortsätt
recovery-codes-left = Återstående återställningskoder: { $left }
recovery-codes-make = Skapa nya återställningskoder
security-intro = Med en andra faktor kan ingen logga in med bara ditt lösenord.
security-none = Du har ingen andra faktor.
security-off = Andra faktorer är avstängda här.
security-required-from = Din organisation kräver en andra faktor från { $when }. Lägg till en före dess.
security-add-app = Lägg till en autentiseringsapp
factor-app = Autentiseringsapp
factor-passkey = Nyckel (passkey)
factor-recovery-codes = Återställningskoder
factor-added = Tillagd { $when }
factor-remove = Ta bort: { $name }
factor-removed = Den andra faktorn är borttagen.
factor-last = Din organisation kräver en andra faktor. Lägg till en annan innan du tar bort den här.
devices-title = Ihågkomna enheter
devices-count = Enheter där ingen kod efterfrågas: { $count }
devices-forget = Fråga efter en kod på alla enheter igen
devices-forgotten = Du uppmanas åter att ange en kod på varje enhet.

## Passkeys

account-passkeys = Passkeys
passkeys-intro = Med en passkey loggar du in med låset på din enhet: fingret, ansiktet eller PIN-koden. Du skriver varken användarnamn eller lösenord, och ingen falsk webbplats kan be om den.
passkeys-too-old = För att lägga till, byta namn på eller ta bort en passkey måste du ha loggat in under de senaste 5 minuterna.
passkeys-sign-in-again = Logga in igen
passkeys-unsupported = Den här webbläsaren kan inte lägga till en passkey här. Det kräver att skript är på och en enhet med skärmlås eller en säkerhetsnyckel.
passkeys-need-a-name = Passkeys kan inte användas här, eftersom serverns adress är ett nummer: webbläsare sparar passkeys bara för namn. Fråga din administratör.
passkeys-need-https = Passkeys kan inte användas här, eftersom servern inte nås med https. Fråga din administratör.
passkeys-name = Passkeyns namn
passkeys-name-hint = Välj ett namn som du känner igen enheten på.
passkeys-default-name = Min enhet
passkeys-add = Lägg till en passkey
passkeys-yours = Dina passkeys
passkeys-none = Du har ingen passkey än.
passkeys-synced = På flera av dina enheter
passkeys-one-device = På en enhet
passkeys-since = Tillagd { $when }
passkeys-last-used = senast använd { $when }
passkeys-never-used = inte använd än
passkeys-change = Byt namn på eller ta bort: { $name }
passkeys-rename = Spara namnet
passkeys-remove = Ta bort passkey: { $name }
passkeys-added = Din passkey är tillagd. Du kan logga in med den från och med nu.
passkeys-renamed = Namnet är sparat.
passkeys-removed = Din passkey är borttagen. Du kan inte längre logga in med den. Om enheten fortfarande erbjuder den, ta bort den där.
passkeys-taken-here = Den här enheten har redan en passkey för ditt konto.
passkeys-not-created = Ingen passkey lades till. Försök igen när du är redo.
passkeys-too-many = Du har { $count } passkeys, vilket är det högsta antalet. Ta bort en innan du lägger till en annan.
passkeys-bad-name = Inget sparades: namnet måste ha 1 till 64 synliga tecken, utan radbrytning.
passkeys-invalid = Den här passkeyn kan inte användas här. Inget ändrades. Försök igen eller använd en annan enhet.
passkeys-gone = Den här passkeyn finns inte längre. Inget ändrades.
passkeys-expired = Sidan var öppen för länge. Inget ändrades. Försök igen.
passkeys-taken = Den här passkeyn är redan registrerad. Inget ändrades.
passkeys-last-factor = Du behöver en andra faktor, och det här är din enda. Lägg till en annan innan du tar bort den.
passkeys-off = Passkeys är avstängda här. Inget ändrades. Fråga din administratör.
passkeys-nothing-changed = Inget ändrades. Se nedan vad du behöver göra först.
sign-in-passkey = Logga in med en passkey
sign-in-passkey-cancelled = Du loggades inte in med en passkey. Försök igen eller använd ditt lösenord.
sign-in-passkey-refused = Du kan inte logga in med den här passkeyn. Prova en annan eller använd ditt lösenord.
sign-in-passkey-expired = Sidan var öppen för länge. Försök igen.
sign-in-passkey-temporary = Logga först in med det tillfälliga lösenord som du fick med mejl och välj ett nytt. Sedan fungerar din passkey igen.

## Sessions

sessions-intro = Här är du inloggad. Om du inte känner igen en session, avsluta den och byt lösenord.
sessions-end-others = Logga ut överallt annars
sessions-end-all = Logga ut överallt, även här
sessions-end-one = Avsluta sessionen: { $what }
sessions-browsers = Webbläsare
sessions-of-applications = Program
sessions-no-applications = Inget program har åtkomst genom någon av dina sessioner.
sessions-this-one = Den här webbläsaren
sessions-begun = Sedan { $when }
sessions-last-used = användes senast { $when }
sessions-from = från { $address }
sessions-unknown-browser = Okänd webbläsare
sessions-direct = Inloggad med användarnamn och lösenord
sessions-ended = Sessionen är avslutad.
sessions-others-ended = Du är utloggad överallt annars.
sessions-gone = Sessionen finns inte längre. Inget har ändrats.
sessions-more = Bara de { $count } nyaste visas.

## Connected applications

applications-intro = De här programmen får veta det som står här om dig. Om du återkallar det loggas de ut och måste fråga dig igen.
applications-none = Du har inte anslutit något program.
applications-since = Anslutet sedan { $when }
applications-withdraw = Koppla från { $name }
applications-withdrawn = Programmet är frånkopplat.
applications-gone = Programmet är inte längre anslutet. Inget har ändrats.

## Language in the account

language-intro = Språket på de här sidorna och i mejl till dig.
language-of-browser = Språket i min webbläsare

## Consent

consent-title = Vill du ansluta { $name }?
consent-intro = { $name } vill veta vem du är. Du är inloggad som { $username }.
consent-gets = Programmet får:
consent-allow = Tillåt
consent-deny = Tillåt inte
consent-later = Du kan när som helst återkalla detta i ditt konto, under ”Anslutna program”.
scope-openid = Ditt kontos nummer, som det känner igen dig på
scope-profile = Ditt namn, användarnamn och språk
scope-email = Din e-postadress
scope-phone = Ditt telefonnummer
scope-groups = Grupperna som du är med i
scope-partner = Organisationen som du tillhör
scope-offline-access = Åtkomst till detta även när du inte är inloggad
scope-read = Att se de uppgifter som du kan se här
scope-write = Att ändra de uppgifter som du kan ändra här

## Forgotten password and username

forgot-password-title = Glömt lösenordet?
forgot-password-intro = Vi mejlar dig ett tillfälligt lösenord. Det nuvarande fungerar tills du använder det tillfälliga.
forgot-password-who = Användarnamn eller e-postadress
forgot-password-submit = Skicka ett tillfälligt lösenord
forgot-username-title = Glömt användarnamnet?
forgot-username-intro = Vi mejlar de användarnamn som hör till din e-postadress till den.
forgot-username-submit = Skicka mitt användarnamn
forgot-sent-title = Titta i din e-post
forgot-password-sent = Om det finns ett aktivt konto med det namnet eller den adressen är ett tillfälligt lösenord på väg till kontots adress. Logga in med det och välj ett nytt.
forgot-username-sent = Om det finns aktiva konton med den adressen är deras användarnamn på väg dit.
forgot-not-arrived = Har inget kommit efter några minuter? Titta i skräpposten, kontrollera vad du skrev eller fråga din administratör. Högst ett sådant mejl skickas per 10 minuter.
forgot-too-many =
    { $minutes ->
        [one] För många förfrågningar från ditt nätverk. Försök igen om { $minutes } minut.
       *[other] För många förfrågningar från ditt nätverk. Försök igen om { $minutes } minuter.
    }

## Console

console-title = Konsol
console-home = Översikt
console-users = Användare
console-cost =
    { $count ->
        [one] { $users } användare · { $ms } ms
       *[other] { $users } användare · { $ms } ms
    }
console-refused-title = Konsolen är för administratörer
console-refused = Du är inloggad som { $name }, som inte är administratör för din organisation. Be en administratör att ge dig behörighet, eller logga in med ett annat konto.
console-yes = Ja
console-no = Nej
console-all = Alla
console-you = du
console-open = Öppna
console-close = Stäng
console-cancel = Avbryt
console-add = Lägg till
console-remove = Ta bort
console-create = Skapa
console-never = aldrig
console-saved = Sparat.
console-at-least = minst { $count }

## Console: keys of the keyboard

console-keys = Kortkommandon
console-keys-on = Använd enstaka tangenter som kortkommandon
console-key-next = Nästa rad
console-key-previous = Föregående rad
console-key-edit = Öppna och redigera raden
console-key-search = Gå till sökfältet
console-key-help = Visa dessa kortkommandon
console-key-leave = Lämna raden, eller stäng detta

## Console: lists

console-search = Sök
console-search-users = Sök användare
console-filters = Filter
console-columns = Kolumner
console-order = Ordning
console-page = Sida
console-pages = Sidor
console-page-size = Rader per sida
console-of-pages = av { $pages }
console-of-many-pages = av minst { $pages }
console-go = Gå
console-first = Första
console-previous = Föregående
console-next = Nästa
console-last = Sista
console-apply = Använd
console-exactly = Användarnamn, adresser och externa id:n måste stämma exakt; versaler spelar ingen roll.
console-group = Grupp
console-group-id = Grupp, med dess id
console-nested = Även grupper inuti den
console-filter-wrong = kan inte användas:
console-filters-wrong = Inget visas, eftersom adressen ber om något som inte går att förstå. Ta bort det som är markerat ovan.
console-remove-filter = Ta bort filtret: { $name }
console-remove-filters = Ta bort alla
console-total-users =
    { $count ->
        [one] { $users } användare
       *[other] { $users } användare
    }
console-total-users-at-least = Minst { $users } användare
console-no-users = Ingen användare matchar. Kontrollera stavningen eller ta bort ett filter.
console-no-such-page = Listan har inte så många sidor.
console-curl = Samma sak som API-anrop

## Console: a user

console-user-id = Id
console-user-number = användare { $id }
console-status = Status
console-active = Aktiv
console-inactive = Inaktiv
console-locked = Låst
console-active-hint = Får logga in. Ett tillfälligt lösenord skickas genast.
console-inactive-hint = Får inte logga in. Lösenordet skickas vid aktivering.
console-admin = Administratör
console-admins = Administratörer
console-is-admin = Administratör
console-is-admin-hint = Får se och ändra allt i den här konsolen.
console-external-id = Externt id
console-display-name-hint = Visas i stället för för- och efternamn.
console-external-id-hint = Användarens nyckel i era egna system. Varje nyckel kan användas en gång.
console-locale-hint = En språkkod som en, nl eller zh-Hans. Mejl och sidor är på detta språk.
console-problem-locale = Detta är ingen språkkod. Skriv till exempel en eller pt-BR.
console-problem-external-id-taken = En annan användare har detta externa id.
console-problem-last-admin = Detta är den sista aktiva administratören. Gör först någon annan till administratör. Inget har ändrats.
console-problem-self-delete = Du kan inte ta bort dig själv. En annan administratör måste göra det. Inget har ändrats.
console-created = Skapad
console-updated = Senast ändrad
console-last-login = Senaste inloggning
console-groups = Grupper
console-group-name = Namn på en grupp
console-no-groups = Inte med i någon grupp.
console-no-such-group = Det finns ingen grupp med det namnet, eller så är användaren inte längre med i den. Inget har ändrats.
console-remove-from = Ta bort från { $name }
console-new-user = Ny användare
console-created-user = Användaren har skapats.
console-all-users = Alla användare
console-unknown-user-title = Användaren finns inte
console-unknown-user = Din organisation har ingen användare med detta id. Den kan ha tagits bort:
console-about-user = Om användaren
console-lock = Lås
console-unlock = Lås upp
console-activate = Aktivera
console-deactivate = Inaktivera
console-status-hint = Att låsa och inaktivera avslutar genast alla sessioner.
console-more = Mer
console-reset-password = Återställ lösenordet …
console-reset-password-hint = Ett tillfälligt lösenord skickas till användaren. Det gamla lösenordet och alla sessioner upphör genast.
console-reset-password-now = Återställ och skicka mejlet
console-password-reset = Ett tillfälligt lösenord är på väg till användaren.
console-delete-user = Ta bort användaren …
console-delete-user-hint = Alla sessioner avslutas genast. Användaren kan återställas tills serverns lagringstid löper ut.
console-delete-now = Ta bort { $name }
console-stale = Någon annan har ändrat användaren sedan du öppnade formuläret. Inget har sparats ännu. Jämför versionerna och spara igen, eller behåll den andres.
console-versions = Båda versionerna
console-field = Fält
console-theirs = Sparat nu
console-yours = Skrivet av dig
console-versions-hint = Det du inte har ändrat tas från den sparade versionen.
console-take-theirs = Kasta det jag skrev
console-direct = Inloggad via API:et
console-no-sessions = Användaren är inte inloggad någonstans.
console-begun = sedan
console-last-used = senast använd
console-end-all = Avsluta alla sessioner
console-sessions-ended = Alla sessioner har avslutats.
console-permissions = Behörigheter
console-not-active = Bara en aktiv användare har behörigheter.
console-total-permissions =
    { $count ->
        [one] { $shown } behörighet
       *[other] { $shown } behörigheter
    }
console-object-type = Typ
console-object = Objekt
console-permission = Behörighet
console-why = Varför
console-every-object = alla objekt
console-as-admin = är administratör
console-history = Historik
console-total-events =
    { $count ->
        [one] { $shown } händelse
       *[other] { $shown } händelser
    }
console-by = av
console-operator = operatören
console-server = servern
console-json = JSON

## Console: groups

console-search-groups = Sök grupper
console-new-group = Ny grupp
console-new-nested = Ny grupp i den här
console-description = Beskrivning
console-parent = Ligger i
console-parent-hint = Namnet på en grupp. Medlemmarna får då även den gruppens behörigheter.
console-nested-in = Ligger i
console-nested-groups = Grupper i den här
console-no-nested = Ingen grupp ligger i den här.
console-first-nested = Bara de första { $count } visas; sök för att hitta de andra.
console-members = Medlemmar
console-remove-member = Ta bort { $name } från gruppen
console-about-group = Om gruppen
console-outermost = yttersta nivån
console-total-groups =
    { $count ->
        [one] { $groups } grupp
       *[other] { $groups } grupper
    }
console-no-groups-yet = Det finns ingen grupp ännu. Grupper ger sina medlemmar behörigheter: skapa den första.
console-no-group-found = Ingen grupp matchar. Kontrollera stavningen.
console-all-groups = Alla grupper
console-unknown-group-title = Gruppen finns inte
console-unknown-group = Din organisation har ingen grupp med detta id. Den kan ha tagits bort:
console-group-created = Gruppen har skapats.
console-group-deleted = Gruppen är borttagen.
console-no-such-member = Användaren finns inte, eller är inte längre medlem. Inget har ändrats.
console-delete-group = Ta bort gruppen …
console-delete-group-hint = Medlemmarna förblir användare men förlorar behörigheterna från gruppen. Det går inte att ångra.
console-stale-group = Någon annan har ändrat gruppen sedan du öppnade formuläret. Inget har sparats ännu. Jämför versionerna och spara igen, eller behåll den andres.
console-problem-group-name-taken = En annan grupp har det här namnet.
console-problem-no-parent = Det finns ingen grupp med det namnet.
console-problem-nesting-cycle = En grupp kan inte ligga i sig själv eller i en grupp som ligger i den.
console-problem-nesting-too-deep = Grupper kan ligga i högst åtta nivåer.

## Console: deleted users

console-deleted-users = Borttagna användare
console-search-deleted = Sök borttagna användare
console-name = Namn
console-deleted-at = Borttagen
console-no-deleted = Ingen borttagen användare här. Den som tas bort kan återställas här tills uppgifterna raderas.
console-restore = Återställ
console-restore-user = Återställ { $name }
console-deleted-now = Användaren är borttagen. Återställ användaren här för att ångra.
console-restored = Användaren är återställd, med lösenord och grupper.
console-restored-some = Användaren är återställd, utan de grupper som inte längre finns.
console-problem-not-deleted = Den borttagna användaren finns inte längre. Inget har ändrats.
console-problem-restore-username = Någon annan har nu det användarnamnet. Ändra det först. Inget har ändrats.
console-problem-restore-external-id = En annan användare har nu detta externa id. Ändra det först. Inget har ändrats.
console-address-wrong = Adressen ber om något som inte går att förstå. Börja om med en sökning.

## Console: the first page

console-last-events = Senaste händelser
console-attention = Behöver uppmärksamhet
console-locked-users =
    { $number ->
        [one] { $users } användare är låst
       *[other] { $users } användare är låsta
    }
console-nothing = Inget just nu.
console-first-step = Skapa den första användaren

## Events

event-user-created = Användare skapad
event-user-updated = Användare ändrad
event-user-deleted = Användare borttagen
event-user-restored = Användare återställd
event-user-erased = Användare raderad
event-user-locked = Låst efter misslyckade inloggningar
event-user-login-refused = Inloggning nekad
event-email-verified = E-postadress verifierad
event-user-signed-in = Inloggad i en webbläsare
event-user-signed-out = Utloggad i en webbläsare
event-password-issued = Tillfälligt lösenord utfärdat
event-password-reset = Lösenord återställt
event-password-changed = Lösenord ändrat
event-session-started = Session påbörjad
event-session-ended = Session avslutad
event-session-replayed = En använd token användes igen
event-group-created = Grupp skapad
event-group-updated = Grupp ändrad
event-group-deleted = Grupp borttagen
event-group-member-added = Tillagd i en grupp
event-group-member-removed = Borttagen från en grupp
event-group-permissions-changed = Behörigheter för en grupp ändrade
event-mail-set-aside = Ett mejl kunde inte levereras
event-consent-granted = En applikation kopplades
event-consent-withdrawn = En applikation kopplades bort

## Verify the e-mail address

verify-email-title = Bekräfta din e-postadress
verify-email-question = Är { $address } din e-postadress?
verify-email-explanation = Tryck på knappen bara om du själv har begärt länken.
verify-email-submit = Ja, bekräfta den
verify-email-done-title = Din e-postadress är bekräftad
verify-email-done = { $address } är bekräftad. Du kan stänga det här fönstret.

## Errors

error-title = Något gick fel
error-unknown-client-title = Okänt program
error-unknown-client = Programmet som skickade dig hit är inte registrerat. Gå tillbaka till det och berätta det för dem som gör det. Inget har ändrats.
error-bad-redirect-uri-title = Programmets adress är inte registrerad
error-bad-redirect-uri = Programmet bad oss skicka dig till en adress som inte är registrerad för det, så det gör vi inte. Gå tillbaka till det och berätta det för dem som gör det. Inget har ändrats.
error-bad-request-title = Begäran går inte att förstå
error-bad-request = Länken eller formuläret som ledde hit är ofullständigt eller fel. Gå tillbaka och försök igen. Kom du från ett program, berätta det för dem som gör det. Inget har ändrats.
error-stale-form-title = Formuläret är inaktuellt
error-stale-form = Sidan var öppen för länge, eller så har du loggat in eller ut i ett annat fönster sedan dess. Öppna sidan igen och upprepa det du gjorde. Inget har ändrats.
error-foreign-origin-title = Formuläret kom från en annan webbplats
error-foreign-origin = För din säkerhet tar vi bara emot formulär från våra egna sidor. Öppna sidan igen och fyll i formuläret där. Inget har ändrats.
error-cookies-off-title = Kakor är avstängda
error-cookies-off = Din webbläsare skickar inte vår kaka, och utan den kan du inte vara inloggad. Tillåt kakor för den här webbplatsen och öppna sidan igen. Inget har ändrats.
error-expired-request-title = Inloggningen har gått ut
error-expired-request = Det tog längre än en timme, eller så har länken ändrats. Gå tillbaka till programmet och logga in igen. Inget har ändrats.
error-expired-link-title = Länken fungerar inte längre
error-expired-link = Länken har gått ut eller redan använts. Begär en ny. Inget har ändrats.
error-signed-out-title = Du är utloggad
error-signed-out = Din session är slut. Logga in igen och upprepa det du gjorde. Inget har ändrats.
error-not-allowed-title = Du får inte göra detta
error-not-allowed = Ditt konto har inte rätt att göra detta. Fråga din administratör. Inget har ändrats.
error-not-found-title = Sidan hittades inte
error-not-found = Det finns ingen sida på den här adressen. Kontrollera adressen eller gå till ditt konto.
error-method-not-allowed-title = Sidan kan inte öppnas så här
error-method-not-allowed = Öppna den med dess adress, eller med formuläret som leder dit. Inget har ändrats.
error-too-many-title = För många förfrågningar
error-too-many = Det kom för många förfrågningar från ditt nätverk. Vänta en minut och försök igen.
error-unavailable-title = Vi är upptagna
error-unavailable = Servern kan inte svara just nu. Vänta en stund och försök igen. Inget har ändrats.
error-internal-title = Något gick fel
error-internal = Det är vårt fel, inte ditt. Försök igen; händer det igen, ge din administratör ärendenumret nedan.
